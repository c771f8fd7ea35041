"""A report as lines of text, for a task's log and the shell."""

from __future__ import annotations

from typing import Any

from instrument_cache.reconcile.model import Kind
from instrument_cache.reports import Report

_WIDTH = 100


def lines(report: Report) -> list[str]:
    """The numbers of each kind, then samples before and after."""
    found = [report.sentence, "", f"{'difference':<16}{'found':>12}"]
    found += [f"{kind:<16}{report.numbers[kind]:>12,.0f}" for kind in Kind]
    found += [f"{name:<16}{report.numbers[name]:>12,.0f}" for name in ("repaired", "swept_aliases", "moved", "open")]
    found += [f"{'oldest':<16}{report.numbers['oldest_difference_s']:>10,.0f} s"]
    found += [f"{'took':<16}{report.numbers['compare_s']:>10,.1f} s"]
    for sample in report.details.get("samples", ()):
        found += ["", *_sample(sample)]
    return found


def _sample(sample: dict[str, Any]) -> list[str]:
    values = (("before", sample["before"]), ("source", sample["source"]), ("after", sample["after"]))
    return [f"{sample['kind']} {sample['key']}", *(f"  {name:<7}{_short(value)}" for name, value in values)]


def _short(value: str | None) -> str:
    if value is None:
        return "(nothing)"
    return value if len(value) <= _WIDTH else value[:_WIDTH] + "…"
