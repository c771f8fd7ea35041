"""The quality of one dataset's data, with everything that is asked of it. The CLI and the DAG use this.

check(run_id, order) → report(run_id, started, order)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import redis
import structlog

from instrument_cache.backup.service import Backups
from instrument_cache.clock import SystemClock
from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract, load_contract
from instrument_cache.errors import BackupRefused, QualityError, Unavailable
from instrument_cache.objects import ObjectStore
from instrument_cache.quality.keeping import QualityResults
from instrument_cache.quality.model import CACHE, FAIL_ON, INPUTS, SOURCE, Checked, Order
from instrument_cache.quality.records import Raw, Sampling, of_backup, of_cache, of_source
from instrument_cache.quality.report import OPERATION, report_of
from instrument_cache.reports import Report, Summary, newest, publish, read
from instrument_cache.settings import Environment, contract_path, environment, redis_url, s3_settings
from instrument_cache.source.registry import open_source
from instrument_cache.store.redis import RedisStore

_AWAY: Final = (Unavailable, BackupRefused)
Progress = Callable[[str, int], None]
logger = structlog.get_logger()


class Quality:
    """Connects on first use. Methods raise StoreUnavailable, ObjectStoreUnavailable."""

    def __init__(self, env: Environment | None = None) -> None:
        """Raises SettingsError, ContractError."""
        self._env = env or environment()
        self._clock = SystemClock()
        self.contract: Contract = load_contract(contract_path(self._env))
        self.dataset = self.contract.dataset

    @cached_property
    def client(self) -> redis.Redis:
        return redis_client(redis_url(self._env), name="quality", timeout_s=15.0)

    @cached_property
    def objects(self) -> ObjectStore:
        return ObjectStore(s3_settings(self._env))

    @cached_property
    def results(self) -> QualityResults:
        return QualityResults(self.objects, self.dataset)

    def check(
        self, run_id: str, order: Order, *, patient: bool = False, progress: Progress = lambda *_: None
    ) -> dict[str, Checked]:
        """Judge each input of the order that no earlier try of this run has judged.

        An input that cannot be read is a result too, and keeps no other from being judged; `patient`: raise what it
        raised after the others, so that the run is tried again. Raises QualityError for an order that cannot be.
        """
        check_order(order)
        found, away = self.results.load(run_id), None
        for name in order.inputs:
            if name not in found:
                try:
                    checked = self._check(name, order, progress)
                except _AWAY as error:
                    away, checked = away or error, Checked(name, error=str(error))
                    if patient:
                        continue
                found[name] = self.results.save(run_id, checked)
        if away is not None and patient:
            raise away
        return found

    def _check(self, name: str, order: Order, progress: Progress) -> Checked:
        from instrument_cache.quality.check import check  # it takes seconds to import

        sampling, baseline = Sampling(order.sample_percent), self.results.last_good(name)
        logger.info("quality_check", input=name, baseline=baseline[0], sample_percent=order.sample_percent)

        def judged(pages: Iterable[list[Raw]], what: str = "") -> Checked:
            return check(self.contract, name, pages, sampling, baseline, self._clock, what, progress)

        if name == CACHE:
            return judged(of_cache(RedisStore(self.client, self.dataset), self.contract, sampling))
        if name == SOURCE:
            with closing(open_source(env=self._env)) as source:
                return judged(of_source(source, sampling))
        backups = Backups(self._env)
        reader = backups.readers(backups.catalog.newest_good().name)[0]
        return judged(of_backup(reader, self.contract, sampling), reader.manifest.name)

    def report(self, run_id: str, started: datetime, order: Order) -> Report:
        """Publish the run's page and report; from a good run on, later ones are measured against it.

        Raises QualityError if nothing was checked.
        """
        from instrument_cache.quality.data_docs import page

        results, started_at = self.results.need(run_id), _iso(started)
        self.results.save_page(run_id, page(self.dataset, run_id, started_at, order, results))
        for checked in results.values():
            if checked.is_good:
                self.results.save_good(run_id, started_at, checked)
        times, key = (started_at, _iso(datetime.now(UTC))), self.results.page_key(run_id)
        made = report_of(self.dataset, run_id, times, order, results, key)
        publish(self.objects, self.client, made)
        return made

    def accept(self, run_id: str) -> list[str]:
        """Measure later runs against this one, although it broke rules; returns the inputs. Raises QualityError."""
        found = [checked for checked in self.results.need(run_id).values() if not checked.error]
        for checked in found:
            self.results.save_good(run_id, _iso(datetime.now(UTC)), checked)
        return [checked.input for checked in found]

    def link(self, run_id: str) -> str:
        """An address at which a browser reads the run's page for a week, or as long as is set."""
        valid_s = self._env.integer("ICACHE_QUALITY_LINK_S", default=604_800, low=60, high=604_800)
        return self.objects.link(self.results.page_key(run_id), valid_s)

    def newest(self) -> Summary:
        """What the last report says. Raises QualityError if there is none."""
        found = newest(self.client, self.dataset, OPERATION)
        if found is None:
            raise QualityError(f"no quality of {self.dataset} was ever reported; `icache quality run` does it")
        return found

    def reported(self, started_at: str, run_id: str) -> Report | None:
        """A report by the start and the id of its run."""
        return read(self.objects, self.dataset, OPERATION, started_at, run_id)


def check_order(order: Order) -> None:
    """Raises QualityError, which names the value and the rule."""
    wrong = [name for name in order.inputs if name not in INPUTS]
    if wrong or not order.inputs:
        raise QualityError(f"the inputs are {list(order.inputs)}; they must be some of {list(INPUTS)}")
    if not 1 <= order.sample_percent <= 100:
        raise QualityError(f"sample_percent is {order.sample_percent}; it must be from 1 to 100")
    if order.fail_on not in FAIL_ON:
        raise QualityError(f"fail_on is {order.fail_on!r}; it must be one of {list(FAIL_ON)}")


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
