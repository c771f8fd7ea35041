"""The report on size, growth, cost and forecast. The DAG capacity_report calls this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from instrument_cache.capacity.cost import Cost, Sizes, cost_of, prices
from instrument_cache.capacity.growth import DAY_S, Growth, days_until, growth, why_no_forecast
from instrument_cache.clock import Clock, SystemClock
from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.doctor.text import bytes_text
from instrument_cache.objects import ObjectStore
from instrument_cache.reports import Report, Summary, newest, publish
from instrument_cache.settings import Environment, contract_path, environment, redis_url, s3_settings
from instrument_cache.slo.sample import HOUR_S, Sample, SampleLog

OPERATION: Final = "capacity_report"
_HISTORY_DAYS: Final = 400
_MEGABYTE: Final = 1_000_000
# Farther ahead a line is no forecast, and dates have an end.
_FAR_DAYS: Final = 3650.0
# What the exporter measured within the last minutes is how it is now.
_NOW_S: Final = 600.0


class CapacityReports:
    """The reports of one deployment. Connects on first use."""

    def __init__(self, env: Environment | None = None, clock: Clock | None = None) -> None:
        """Raises SettingsError, ContractError."""
        self._env, self._clock = env or environment(), clock or SystemClock()
        self.dataset = load_contract(contract_path(self._env)).dataset
        self.prices = prices(self._env)
        self.client = redis_client(redis_url(self._env), name="capacity-report")
        megabytes = self._env.integer("ICACHE_CAPACITY_MEMORY_MB", default=0, low=0, high=100_000_000)
        self._memory_bytes_max = megabytes * _MEGABYTE
        self._backups = self._env.integer("ICACHE_BACKUP_KEEP_COUNT", default=96, low=1, high=100000)

    def run(self, run_id: str, horizon_days: int = 90) -> Report:
        """Read the history, publish the report and return it. Raises StoreUnavailable, ObjectStoreUnavailable."""
        now_s = self._clock.now_us() / 1e6
        log = SampleLog(self.client, self.dataset)
        hours = up_to_now(log.hours(now_s - _HISTORY_DAYS * DAY_S), log.minutes(now_s - _NOW_S))
        made = self.report(run_id, hours, newest(self.client, self.dataset, "backup"), now_s, horizon_days)
        publish(ObjectStore(s3_settings(self._env)), self.client, made)
        return made

    def report(
        self, run_id: str, hours: Sequence[Sample], backup: Summary | None, now_s: float, horizon_days: int = 90
    ) -> Report:
        """What this history comes to; nothing is written."""
        moment = datetime.fromtimestamp(now_s, UTC)
        memory, keys = _series(hours, lambda at: at.memory_bytes), _series(hours, lambda at: at.keys)
        found, limit = growth(memory), self._limit(hours)
        left_days = days_until(found, limit) if found and limit else None
        cost = cost_of(self._sizes(hours, backup), self.prices)
        numbers = _sizes_now(hours) | _growth(found, growth(keys)) | _costs(cost)
        if left_days is not None:
            numbers["days_left"] = round(min(left_days, _FAR_DAYS), 1)
        return Report(
            dataset=self.dataset,
            operation=OPERATION,
            run_id=run_id,
            started_at=moment.isoformat(timespec="seconds"),
            finished_at=moment.isoformat(timespec="seconds"),
            ok=left_days is None or left_days > horizon_days,
            sentence=_sentence(hours, memory, found, limit, left_days, moment),
            numbers=numbers,
            details=self._details(found, growth(keys), cost, limit, horizon_days, hours),
        )

    def _limit(self, hours: Sequence[Sample]) -> int:
        """Redis's maxmemory, else that of the setting; 0: there is none."""
        return (hours[-1].memory_bytes_max or 0) if hours and hours[-1].memory_bytes_max else self._memory_bytes_max

    def _sizes(self, hours: Sequence[Sample], backup: Summary | None) -> Sizes:
        """Of the backups: as many of the newest one's size as are kept, in each region that has it."""
        newest_hour = hours[-1] if hours else Sample(at_s=0)
        numbers = backup.numbers if backup else {}
        objects = numbers.get("bytes", 0) * numbers.get("regions", 0) * self._backups
        return Sizes(newest_hour.memory_bytes or 0, newest_hour.file_bytes or 0, objects)

    def _details(
        self,
        memory: Growth | None,
        keys: Growth | None,
        cost: Cost,
        limit: int,
        horizon_days: int,
        hours: Sequence[Sample],
    ) -> dict[str, Any]:
        return {
            "targets": {"horizon_days": horizon_days},
            "limit_bytes": limit,
            "memory": msgspec.to_builtins(memory),
            "keys": msgspec.to_builtins(keys),
            "cost": msgspec.to_builtins(cost),
            "by_day": _by_day(hours),
        }


def up_to_now(hours: Sequence[Sample], minutes: Sequence[Sample]) -> list[Sample]:
    """The hours, of which the running one is as the newest minute has it: its own sample is of its first minute."""
    newest = next((minute for minute in reversed(minutes) if minute.memory_bytes is not None), None)
    if newest is None:
        return list(hours)
    return [*(hour for hour in hours if hour.at_s // HOUR_S != newest.at_s // HOUR_S), newest]


def _series(hours: Sequence[Sample], value: Callable[[Sample], int | None]) -> list[tuple[float, float]]:
    return [(hour.at_s, float(found)) for hour in hours if (found := value(hour)) is not None]


def _sizes_now(hours: Sequence[Sample]) -> dict[str, float]:
    if not hours or not hours[-1].keys:
        return {"hours": float(len(hours))}
    last = hours[-1]
    memory, keys = float(last.memory_bytes or 0), float(last.keys or 1)
    return {"hours": float(len(hours)), "keys": keys, "memory_bytes": memory, "bytes_per_key": round(memory / keys, 1)}


def _growth(memory: Growth | None, keys: Growth | None) -> dict[str, float]:
    named = {"memory_bytes_per_day": memory, "keys_per_day": keys}
    return {name: round(found.per_day, 1) for name, found in named.items() if found}


def _costs(cost: Cost) -> dict[str, float]:
    return {"cost_cents_per_month": round(cost.total_cents, 1)} if len(cost.unpriced) < 3 else {}


def _sentence(
    hours: Sequence[Sample],
    memory: Sequence[tuple[float, float]],
    found: Growth | None,
    limit: int,
    left_days: float | None,
    now: datetime,
) -> str:
    if not hours:
        return "Nothing was measured yet: the exporter keeps one sample of each hour."
    size = f"{hours[-1].keys or 0:,} keys take {bytes_text(hours[-1].memory_bytes or 0)}"
    if found is None:
        return f"{size}. No forecast: {why_no_forecast(memory)}."
    grows = f"{size} and grow by {bytes_text(found.per_day)} a day (r² {found.fit:.2f})"
    if not limit:
        return f"{grows}. No limit is known: set Redis's maxmemory, or ICACHE_CAPACITY_MEMORY_MB."
    return f"{grows}. {_forecast(limit, left_days, now)}"


def _forecast(limit: int, left_days: float | None, now: datetime) -> str:
    if left_days is None:
        return f"The limit of {bytes_text(limit)} is not reached at this pace."
    if not left_days:
        return f"The limit of {bytes_text(limit)} is reached."
    if left_days > _FAR_DAYS:
        return f"The limit of {bytes_text(limit)} is more than {_FAR_DAYS / 365:.0f} years away."
    return f"The limit of {bytes_text(limit)} is reached on {(now + timedelta(days=left_days)).date().isoformat()}."


def _by_day(hours: Sequence[Sample]) -> list[dict[str, Any]]:
    """The last hour of each day: what a plot needs."""
    last = {hour.at_s // DAY_S: hour for hour in hours}
    return [
        {"date": _date(day), "keys": hour.keys, "memory_bytes": hour.memory_bytes, "file_bytes": hour.file_bytes}
        for day, hour in last.items()
    ]


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat()
