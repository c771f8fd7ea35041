"""The forms of the reports about the product itself: error budgets, capacity, readiness."""

from __future__ import annotations

from airflow.sdk import Param


def slo_form() -> dict[str, Param]:
    """How far it looks back."""
    return {
        "window_days": Param(
            30,
            type="integer",
            minimum=1,
            maximum=31,
            title="Days",
            description="Minutes of so many days count. The budgets are those of 30 days.",
        ),
    }


def capacity_form() -> dict[str, Param]:
    """How far it looks ahead, and when it warns."""
    return {
        "horizon_days": Param(
            90,
            type="integer",
            minimum=1,
            maximum=1000,
            title="Warn ahead",
            description="Red if the memory limit is reached within so many days.",
        ),
    }


def readiness_form() -> dict[str, Param]:
    """What is good enough."""
    return {
        "goal_percent": Param(
            95,
            type="number",
            minimum=0,
            maximum=100,
            title="Goal",
            description="Red below this score.",
        ),
    }
