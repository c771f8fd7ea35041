"""The form of data_quality, and what a run is to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Param

if TYPE_CHECKING:
    from instrument_cache.quality.model import Order

BY_TRIGGER: Final = "by trigger"
_CHOICES: Final = {
    "cache and source": ("cache", "source"),
    "cache": ("cache",),
    "source": ("source",),
    "newest good backup": ("backup",),
    "all": ("cache", "source", "backup"),
}


def quality_form() -> dict[str, Param]:
    """Airflow checks each value before a run begins."""
    return {
        "input": Param(
            BY_TRIGGER,
            type="string",
            enum=[BY_TRIGGER, *_CHOICES],
            title="Input",
            description="by trigger: the newest good backup if a backup started the run, else cache and source.",
        ),
        "sample_percent": Param(
            100,
            type="integer",
            minimum=1,
            maximum=100,
            title="Sample, percent",
            description="Below 100 only some records are looked at, and the report says so.",
        ),
        "fail_on": Param(
            "error",
            type="string",
            enum=["info", "warning", "error", "critical", "never"],
            title="Red from",
            description="A broken rule of this severity, or of a worse one, makes the run red.",
        ),
    }


def order_of(params: Mapping[str, Any], by_backup: bool) -> Order:
    """What the form asks for. `by_backup`: a new backup started the run."""
    from instrument_cache.quality.model import Order

    choice = params["input"]
    if choice == BY_TRIGGER:
        choice = "newest good backup" if by_backup else "cache and source"
    return Order(_CHOICES[choice], params["sample_percent"], params["fail_on"])
