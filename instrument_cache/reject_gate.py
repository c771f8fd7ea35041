"""Watches the share of rejects. Above the limit the code or the feed is wrong, not the data: alarm, and stop if so set.

The alarm lies in Redis, so that every worker, and a job that was started again, knows of it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog
from redis.exceptions import RedisError

from instrument_cache.clock import Clock, SystemClock
from instrument_cache.errors import InstrumentCacheError, StoreUnavailable
from instrument_cache.settings import Environment, environment

logger = structlog.get_logger()
_ALARM_S: Final = 600
_SAMPLE_CHARACTERS_MAX: Final = 300


class RejectLimit(InstrumentCacheError):
    """The stream stands still because too many records were rejected."""


class RejectAlarm(msgspec.Struct, frozen=True):
    """Since when (µs since 1970), how many of how many records, and one of the reasons."""

    since_us: int
    rejected: int
    total: int
    share: float
    sample: str


@dataclass(frozen=True)
class RejectLimits:
    """More than `share_max` (0…1) of at least `records_min` records within `window_s` seconds is an alarm."""

    share_max: float = 0.2
    records_min: int = 1000
    window_s: int = 60
    stops: bool = False

    @classmethod
    def from_environment(cls, env: Environment | None = None) -> RejectLimits:
        """ICACHE_REJECT_PERCENT_MAX, _WINDOW_RECORDS, _WINDOW_S and _STOP. Raises SettingsError."""
        env = env or environment()
        return cls(
            env.integer("ICACHE_REJECT_PERCENT_MAX", default=20, low=1, high=100) / 100,
            env.integer("ICACHE_REJECT_WINDOW_RECORDS", default=1000, low=1, high=1_000_000_000),
            env.integer("ICACHE_REJECT_WINDOW_S", default=60, low=1, high=86_400),
            env.boolean("ICACHE_REJECT_STOP", default=False),
        )


class RejectGate:
    """One worker's window over its own records, and the alarm that all workers share."""

    def __init__(
        self,
        client: Any,
        dataset: str,
        limits: RejectLimits,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._dataset, self._limits = client, dataset, limits
        self._clock, self._monotonic = clock or SystemClock(), monotonic
        self._window: deque[tuple[float, int, int]] = deque()

    def check(self) -> None:
        """Raises RejectLimit while there is an alarm and the limits say that it stops the stream; StoreUnavailable."""
        try:
            alarm = current_alarm(self._client, self._dataset) if self._limits.stops else None
        except RedisError as error:
            raise StoreUnavailable(f"Redis did not say whether the stream is stopped: {error}") from error
        if alarm:
            raise RejectLimit(
                f"{alarm.rejected} of {alarm.total} records of {self._dataset} were rejected ({alarm.sample}); the "
                f"limit is {self._limits.share_max:.0%}. Mend the feed or the code, then `icache dlq resume`"
            )

    def note(self, records: int, reasons: Sequence[str]) -> None:
        """Take a batch into the window, and raise the alarm if it is too much. Never fails the batch."""
        now = self._monotonic()
        self._window.append((now, records, len(reasons)))
        while self._window[0][0] < now - self._limits.window_s:
            self._window.popleft()
        if reasons:
            self._judge(reasons[0])

    def _judge(self, sample: str) -> None:
        total = sum(records for _, records, _ in self._window)
        rejected = sum(rejected for _, _, rejected in self._window)
        if total < self._limits.records_min or rejected <= self._limits.share_max * total:
            return
        alarm = RejectAlarm(
            self._clock.now_us(), rejected, total, round(rejected / total, 4), sample[:_SAMPLE_CHARACTERS_MAX]
        )
        logger.error("too_many_rejects", dataset=self._dataset, stops=self._limits.stops, **msgspec.to_builtins(alarm))
        try:
            self._raise_alarm(alarm)
        except RedisError as error:
            logger.error("alarm_not_kept", error=str(error))

    def _raise_alarm(self, alarm: RejectAlarm) -> None:
        """The first moment of an alarm stays. One that stops the stream stays until somebody has dealt with it."""
        before = current_alarm(self._client, self._dataset)
        since_us = before.since_us if before else alarm.since_us
        value = msgspec.json.encode(msgspec.structs.replace(alarm, since_us=since_us))
        self._client.set(_key(self._dataset), value, ex=None if self._limits.stops else _ALARM_S)


def _key(dataset: str) -> str:
    return f"alarm:{dataset}:rejects"


def current_alarm(client: Any, dataset: str) -> RejectAlarm | None:
    """The alarm, or None. Raises redis.RedisError."""
    value = client.get(_key(dataset))
    return msgspec.json.decode(value, type=RejectAlarm) if value else None


def clear_alarm(client: Any, dataset: str) -> bool:
    """Take the alarm back: a stream that it had stopped goes on. False if there was none. Raises redis.RedisError."""
    return bool(client.delete(_key(dataset)))
