"""What is promised for each minute, and how many minutes of a month may break it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from instrument_cache.settings import Environment, environment

MONTH_MINUTES: Final = 30 * 1440


@dataclass(frozen=True, slots=True)
class Objective:
    """`name` is the member of `Sample` that says whether a minute was good; `promise` says so for people."""

    name: str
    title: str
    promise: str
    budget_minutes: int

    @property
    def target_percent(self) -> float:
        """The share of good minutes that is promised."""
        return 100 * (1 - self.budget_minutes / MONTH_MINUTES)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What makes a minute a good one."""

    canary_age_s_max: int = 5
    failed_permille_max: int = 1
    p99_ms_max: int = 50
    proof_minutes_max: int = 150


def thresholds(env: Environment | None = None) -> Thresholds:
    """ICACHE_SLO_FRESHNESS_S, _FAILED_PERMILLE, _LATENCY_MS, and ICACHE_DOCTOR_PROOF_MINUTES_MAX."""
    env = env or environment()
    return Thresholds(
        env.integer("ICACHE_SLO_FRESHNESS_S", default=5, low=1, high=3600),
        env.integer("ICACHE_SLO_FAILED_PERMILLE", default=1, low=0, high=1000),
        env.integer("ICACHE_SLO_LATENCY_MS", default=50, low=1, high=1000),
        env.integer("ICACHE_DOCTOR_PROOF_MINUTES_MAX", default=150, low=1, high=100_000),
    )


def objectives(env: Environment | None = None) -> tuple[Objective, ...]:
    """The four, with the budgets of the settings."""
    env = env or environment()
    limits = thresholds(env)
    return (
        Objective(
            "fresh",
            "freshness",
            f"the cache is at most {limits.canary_age_s_max} s behind the feed",
            env.integer("ICACHE_SLO_FRESHNESS_BUDGET_MINUTES", default=432, low=1, high=43_200),
        ),
        Objective(
            "available",
            "availability",
            f"the lookup service is ready, and at most {limits.failed_permille_max} of 1000 requests fail",
            env.integer("ICACHE_SLO_AVAILABILITY_BUDGET_MINUTES", default=43, low=1, high=43_200),
        ),
        Objective(
            "quick",
            "latency",
            f"99 % of the requests are answered within {limits.p99_ms_max} ms",
            env.integer("ICACHE_SLO_LATENCY_BUDGET_MINUTES", default=432, low=1, high=43_200),
        ),
        Objective(
            "equal",
            "equality",
            f"a proof of the last {limits.proof_minutes_max} minutes says that the cache equals its source",
            env.integer("ICACHE_SLO_EQUALITY_BUDGET_MINUTES", default=432, low=1, high=43_200),
        ),
    )
