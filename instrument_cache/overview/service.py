"""One look at everything. The operator's page keeps one of these for as long as its process lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import msgspec

from instrument_cache import doctor
from instrument_cache.asking.figures import RedisFigures, feed_part, kafka_part, redis_part
from instrument_cache.asking.parts import Part, SlowPart, hear_all
from instrument_cache.backup.catalog import BackupCatalog
from instrument_cache.backup.region import Region, regions
from instrument_cache.backup.signing import signing_keys
from instrument_cache.clock import SystemClock
from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.dead_letters.service import DeadLetters
from instrument_cache.dead_letters.statistics import Statistics
from instrument_cache.feed_state import FeedState
from instrument_cache.flink_rest import FlinkRest, flink_rest, stream_job_name_prefix
from instrument_cache.freshness import FreshnessProbe, freshness_limits
from instrument_cache.kafka import topic_spans
from instrument_cache.overview import stream_tiles
from instrument_cache.overview.answers import Answers
from instrument_cache.overview.backup_tiles import RegionLook, backup_tile, newest_good
from instrument_cache.overview.doctor_watch import DoctorWatch, Examine
from instrument_cache.overview.model import Overview, Tile, tiles_red_first
from instrument_cache.overview.operation_tiles import operation_tiles
from instrument_cache.overview.stream_tiles import JobLook
from instrument_cache.overview.trends import RememberedObjects, read_trends
from instrument_cache.settings import Environment, contract_path, environment, redis_url, s3_settings
from instrument_cache.store.redis import RedisStore

# Many who look at once get one answer.
_KEPT_S: Final = 3.0
_LETTERS_EVERY_S: Final = 60.0


class Overviews:
    """Asks on each look, and remembers what makes a job that stands still show. Threads may share it."""

    def __init__(self, env: Environment | None = None, examine: Examine | None = None) -> None:
        """`examine` is the doctor. Nothing is connected yet. Raises SettingsError, ContractError."""
        self._env = env or environment()
        self._contract = load_contract(contract_path(self._env))
        self.dataset = self._contract.dataset
        self._deadline_s = self._env.integer("ICACHE_PAGE_DEADLINE_MS", default=4000, low=100, high=30_000) / 1000
        self._probe = FreshnessProbe(self._store, self.dataset, lambda: {}, freshness_limits(self._env))
        self._doctor = DoctorWatch(examine or partial(doctor.examine, self._env))
        self._letters = SlowPart(Part("letters", self._count_letters), _LETTERS_EVERY_S)
        self._lock = threading.Lock()
        self._newest: tuple[float, Overview] | None = None

    def look(self) -> Overview:
        """How everything is, at most some seconds ago. Never raises for a part that is away."""
        with self._lock:
            if self._newest is None or time.monotonic() - self._newest[0] > _KEPT_S:
                self._newest = (time.monotonic(), self._look())
            return self._newest[1]

    def _look(self) -> Overview:
        until_s = time.monotonic() + self._deadline_s
        self._doctor.word()  # the first time it begins to look, while the parts are asked
        letters = self._letters.latest()
        answers = Answers(hear_all(self._parts, self._deadline_s), datetime.now(UTC))
        tiles = [*answers.away(), *self._tiles(answers, letters)]
        word = self._doctor.word(until_s - time.monotonic())
        findings = word.findings if word else ()
        return Overview(
            dataset=self.dataset,
            at=answers.now.isoformat(timespec="seconds"),
            findings=tuple(each for each in findings if each.severity != "ok"),
            tiles=tiles_red_first(tiles),
            past=word.past if word else (),
            well=tuple(each for each in findings if each.severity == "ok"),
            examined_at=word.at.isoformat(timespec="milliseconds") if word else "",
        )

    def _tiles(self, answers: Answers, letters: Statistics | None) -> Iterator[Tile]:
        if (jobs := answers.of("flink", JobLook)) is not None:
            yield stream_tiles.job_tile(jobs)
        yield from self._redis_tiles(answers)
        if letters is not None:
            yield stream_tiles.letters_tile(letters)
        if (feed := answers.of("feed", FeedState)) is not None:
            yield stream_tiles.feed_tile(feed, answers.now)
        for part, found in answers.by_part.items():
            if isinstance(found, RegionLook):
                assert part.startswith("backup:")
                yield backup_tile(found, answers.now)

    def _redis_tiles(self, answers: Answers) -> Iterator[Tile]:
        figures = answers.of("redis", RedisFigures)
        if figures is None:
            self._probe.forget()
            return
        yield stream_tiles.freshness_tile(self._probe.assess(figures.store, answers.of("kafka", dict) or {}))
        yield stream_tiles.rejects_tile(figures.store.accounts, figures.alarm)
        yield stream_tiles.keys_tile(figures)
        trends: Mapping[str, Sequence[Any]] = answers.of("reports", dict) or {}
        yield from operation_tiles(figures.operations, trends, answers.now)

    @cached_property
    def _store(self) -> RedisStore:
        return RedisStore(self._redis, self.dataset)

    @cached_property
    def _redis(self) -> Any:
        return redis_client(redis_url(self._env), name="operator-page", timeout_s=self._deadline_s)

    @cached_property
    def objects(self) -> RememberedObjects:
        """The S3 of the reports."""
        return RememberedObjects(s3_settings(self._env))

    @cached_property
    def _parts(self) -> list[Part]:
        bootstrap, flink = self._env.text("ICACHE_KAFKA_BOOTSTRAP"), flink_rest(self._env)
        return [
            redis_part(self._redis, self._store, self.dataset),
            kafka_part(lambda: topic_spans(bootstrap, self.dataset)),
            Part("flink", lambda: _look_at_jobs(flink, stream_job_name_prefix(self.dataset))),
            Part("reports", lambda: read_trends(self.objects, self.dataset)),
            *(self._backup_part(region) for region in regions(self._env)),
            *self._feed_parts(),
        ]

    def _feed_parts(self) -> Iterator[Part]:
        if path := self._env.variables.get("ICACHE_FEED_STATE_FILE"):
            yield feed_part(Path(path), SystemClock())

    def _backup_part(self, region: Region) -> Part:
        catalog = BackupCatalog([region], self.dataset, signing_keys(self._env), self._contract)
        return Part(f"backup:{region.name}", partial(newest_good, catalog, region))

    def _count_letters(self) -> Statistics:
        return DeadLetters(self._env).statistics()


def _look_at_jobs(flink: FlinkRest, name_prefix: str) -> JobLook:
    known = flink.jobs(name_prefix)
    jobs = [job for job in known if not job.has_ended]
    if len(jobs) == 1:
        detail, age_s = flink.job(jobs[0].job_id), flink.checkpoints(jobs[0].job_id).age_s(jobs[0])
        return JobLook(jobs, detail, age_s)
    failed = known[0] if not jobs and known and known[0].state == "FAILED" else None
    return JobLook(jobs, failure=flink.failure(failed.job_id) if failed else None)


def as_json(overview: Overview) -> bytes:
    """For programs."""
    return msgspec.json.encode(overview)
