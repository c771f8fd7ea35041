"""A report into the task's log, and what the next task needs of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from instrument_cache.reports import Report

logger = structlog.get_logger()


def told(report: Report) -> dict[str, Any]:
    """{"ok", "sentence", "numbers"}."""
    for name, value in report.numbers.items():
        logger.info("measured", name=name, value=value)
    logger.info("report", ok=report.ok, sentence=report.sentence)
    return {"ok": report.ok, "sentence": report.sentence, "numbers": report.numbers}
