"""What the tasks of both drills do. Imported by tasks only: it loads the kernel's drills."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog

from instrument_cache.drills.service import Drilled, Drills
from instrument_cache.drills.trend import trend_text
from instrument_cache.settings import environment

logger = structlog.get_logger()


def drills() -> Drills:
    """Those of this deployment."""
    return Drills(environment())


def tell(step: str) -> None:
    """Into the task's log."""
    logger.info("drill", step=step)


def published(done: dict[str, Any]) -> dict[str, Any]:
    """Publish what `drill` returned and show it with its trend. Returns {"ok", "sentence", "numbers"}."""
    report = drills().publish(msgspec.convert(done, Drilled))
    for name, value in report.numbers.items():
        logger.info("measured", name=name, value=value)
    logger.info("trend", runs="\n" + trend_text(report.details["trend"]))
    return {"ok": report.ok, "sentence": report.sentence, "numbers": report.numbers}
