"""The form of cache_reconcile, and what was filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

if TYPE_CHECKING:
    from instrument_cache.reconcile.plan import Order


def reconcile_form() -> dict[str, Param]:
    """Airflow checks each value before a run begins."""
    return {
        "dry_run": Param(False, type="boolean", title="Dry run", description="Compare and report; repair nothing."),
        "budget": _number(1000, 0, 100_000_000, "Budget", "More repairs than this need an approval."),
        "lost_percent_max": _number(
            10, 0, 100, "Loss, percent", "If the source lost more than this, or more would be removed, it asks."
        ),
        "shards": _number(64, 1, 1024, "Shards", "Parts of the key space; more take less memory."),
        "grace_s": _number(60, 3, 3600, "Grace, seconds", "How long the stream may take to catch up."),
        "effort_percent": _number(70, 1, 100, "Effort, percent", "Share of the time in which it works at all."),
        "unpin": Param(
            False,
            type="boolean",
            title="End a roll back",
            description="The source is right again: unpin the epoch of a roll back first. A dry run leaves it pinned.",
        ),
    }


def order_of(params: Mapping[str, Any]) -> Order:
    """What the form asks for."""
    from instrument_cache.reconcile.plan import Order

    return Order(**{name: params[name] for name in reconcile_form()})


def _number(default: int, low: int, high: int, title: str, description: str) -> Param:
    return Param(default, type="integer", minimum=low, maximum=high, title=title, description=description)
