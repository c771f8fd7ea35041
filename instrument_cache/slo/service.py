"""The report of error budgets. The DAG slo_report calls this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from instrument_cache.clock import Clock, SystemClock
from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.objects import ObjectStore
from instrument_cache.reports import Report, publish
from instrument_cache.settings import Environment, contract_path, environment, redis_url, s3_settings
from instrument_cache.slo.budget import Budget, budget_of, days, missing_minutes
from instrument_cache.slo.objectives import objectives
from instrument_cache.slo.sample import Sample, SampleLog

OPERATION: Final = "slo_report"
_DAY_S: Final = 86_400
_MEANS: Final = {
    "spent": "the budget is spent",
    "fast": "it burns fast: more than 2 % of the month's budget an hour",
    "slow": "it burns steadily: more than 5 % of the month's budget in six hours",
}


class SloReports:
    """The reports of one deployment. Connects on first use."""

    def __init__(self, env: Environment | None = None, clock: Clock | None = None) -> None:
        """Raises SettingsError, ContractError."""
        self._env, self._clock = env or environment(), clock or SystemClock()
        self.dataset = load_contract(contract_path(self._env)).dataset
        self.objectives = objectives(self._env)
        self.client = redis_client(redis_url(self._env), name="slo-report")

    def run(self, run_id: str, window_days: int = 30) -> Report:
        """Read the minutes, publish the report and return it. Raises StoreUnavailable, ObjectStoreUnavailable."""
        now_s = self._clock.now_us() / 1e6
        samples = SampleLog(self.client, self.dataset).minutes(now_s - window_days * _DAY_S)
        made = self.report(run_id, samples, now_s, window_days)
        publish(ObjectStore(s3_settings(self._env)), self.client, made)
        return made

    def report(self, run_id: str, samples: Sequence[Sample], now_s: float, window_days: int = 30) -> Report:
        """What these minutes come to; nothing is written."""
        budgets = [budget_of(objective, samples, now_s) for objective in self.objectives]
        alarms = [budget for budget in budgets if budget.alarm]
        moment = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="seconds")
        return Report(
            dataset=self.dataset,
            operation=OPERATION,
            run_id=run_id,
            started_at=moment,
            finished_at=moment,
            ok=not alarms,
            sentence=_sentence(budgets, alarms),
            numbers=_numbers(budgets, samples, now_s),
            details=self._details(budgets, samples, window_days),
        )

    def _details(self, budgets: Sequence[Budget], samples: Sequence[Sample], window_days: int) -> dict[str, Any]:
        return {
            "window_days": window_days,
            "budgets": msgspec.to_builtins(budgets),
            "bad_minutes_by_day": {
                objective.title: {_date(day): bad for day, bad in days(objective, samples).items()}
                for objective in self.objectives
            },
        }


def _sentence(budgets: Sequence[Budget], alarms: Sequence[Budget]) -> str:
    if alarms:
        return "; ".join(f"{budget.name}: {_MEANS[budget.alarm]} ({_left(budget)})" for budget in alarms)
    measured = [budget for budget in budgets if budget.measured]
    if not measured:
        return "No minute was measured yet: the exporter takes a sample each minute."
    least = min(measured, key=lambda budget: budget.left_percent)
    unmeasured = [budget.name for budget in budgets if not budget.measured]
    rest = f" Nothing was measured of {' and '.join(unmeasured)}." if unmeasured else ""
    return f"Every budget is kept; the least is left of {least.name}: {_left(least)}.{rest}"


def _left(budget: Budget) -> str:
    return f"{budget.left_percent:.1f} % left, {budget.bad} bad of {budget.measured} minutes measured"


def _numbers(budgets: Sequence[Budget], samples: Sequence[Sample], now_s: float) -> dict[str, float]:
    measured = [budget.left_percent for budget in budgets if budget.measured]
    numbers = {"measured_minutes": float(len(samples)), "missing_minutes": float(missing_minutes(samples, now_s))}
    if measured:
        numbers["budget_left_min_percent"] = round(min(measured), 2)
    return numbers | dict(_each(budgets))


def _each(budgets: Sequence[Budget]) -> Iterator[tuple[str, float]]:
    for budget in budgets:
        if budget.good_percent is not None:
            yield f"{budget.name}_good_percent", round(budget.good_percent, 4)
            yield f"{budget.name}_left_percent", round(budget.left_percent, 2)
        for window in ("1h", "6h", "3d"):
            if (rate := budget.burn[window]) is not None:
                yield f"{budget.name}_burn_{window}", round(rate, 2)


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_S, UTC).date().isoformat()
