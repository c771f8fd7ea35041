"""The readiness of one deployment. The DAG readiness_score and `icache readiness` call this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError

from instrument_cache.clock import Clock, SystemClock
from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.doctor import Finding, examine
from instrument_cache.drills.trend import earlier_reports, trend
from instrument_cache.errors import StoreUnavailable
from instrument_cache.objects import ObjectStore
from instrument_cache.readiness.checks import of_doctor, of_redis, of_reports, of_settings
from instrument_cache.readiness.model import Check, failed, failed_first, score_percent
from instrument_cache.reports import Report, newest_of_all, publish
from instrument_cache.settings import Environment, contract_path, environment, redis_url, s3_settings

OPERATION: Final = "readiness_score"
GOAL_PERCENT: Final = 95.0
_SHOWN: Final = 3


class Readiness:
    """Asks on each look. Connects on first use."""

    def __init__(
        self,
        env: Environment | None = None,
        ask: Callable[[Environment], list[Finding]] = examine,
        clock: Clock | None = None,
    ) -> None:
        """`ask` is the doctor. Raises SettingsError, ContractError."""
        self._env, self._ask, self._clock = env or environment(), ask, clock or SystemClock()
        self.dataset = load_contract(contract_path(self._env)).dataset
        self.client: Any = redis_client(redis_url(self._env), name="readiness")

    def look(self) -> list[Check]:
        """Every check, the failed ones first. Never raises for a part that is away."""
        return failed_first([*of_doctor(self._ask(self._env)), *of_settings(self._env), *self._of_redis()])

    def _of_redis(self) -> Iterator[Check]:
        """All that has to be read in Redis; if it is away, that says enough."""
        try:
            reports = newest_of_all(self.client, self.dataset)
            config, info = self.client.config_get("*"), self.client.info("replication")
        except (StoreUnavailable, RedisError) as error:
            yield Check("redis-setup", 20, False, f"Redis does not tell how it is set up: {error}", "icache doctor")
            return
        yield from of_reports(reports, self._clock.now_us() / 1e6)
        yield from of_redis(config, info, redis_url(self._env))

    def run(self, run_id: str, goal_percent: float = GOAL_PERCENT) -> Report:
        """Look, publish the report with its trend, and return it. Raises StoreUnavailable, ObjectStoreUnavailable."""
        objects = ObjectStore(s3_settings(self._env))
        before = [each for each in earlier_reports(objects, self.dataset, OPERATION) if each.run_id != run_id]
        made = self.report(run_id, self.look(), before, goal_percent)
        publish(objects, self.client, made)
        return made

    def report(self, run_id: str, checks: Sequence[Check], before: Sequence[Report], goal_percent: float) -> Report:
        """What these checks come to; nothing is written."""
        moment = datetime.fromtimestamp(self._clock.now_us() / 1e6, UTC).isoformat(timespec="seconds")
        score, wrong = score_percent(checks), failed(checks)
        return Report(
            dataset=self.dataset,
            operation=OPERATION,
            run_id=run_id,
            started_at=moment,
            finished_at=moment,
            ok=score >= goal_percent,
            sentence=sentence(checks, goal_percent, before),
            numbers={
                "score_percent": round(score, 2),
                "checks": float(sum(check.passed is not None for check in checks)),
                "failed": float(len(wrong)),
            },
            details={
                "targets": {"goal_percent": goal_percent},
                "checks": msgspec.to_builtins(failed_first(checks)),
                "trend": trend(before, ("score_percent", "failed")),
            },
        )


def sentence(checks: Sequence[Check], goal_percent: float, before: Sequence[Report] = ()) -> str:
    """`96.1 % ready (goal 95 %, last time 93.0 %); …`: what costs most."""
    last = before[-1].numbers.get("score_percent") if before else None
    was = "" if last is None else f", last time {last:.1f} %"
    head = f"{score_percent(checks):.1f} % ready (goal {goal_percent:g} %{was})"
    wrong = sorted(failed(checks), key=lambda check: -check.weight)
    if not wrong:
        return f"{head}; every check passed"
    more = f", and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return f"{head}; {len(wrong)} failed: {', '.join(check.name for check in wrong[:_SHOWN])}{more}"
