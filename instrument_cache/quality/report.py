"""The results of a run → its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from instrument_cache.quality.model import Checked, Order
from instrument_cache.quality.words import sampling_sentence, stops, verdict
from instrument_cache.reports import Report

OPERATION: Final = "data_quality"


def report_of(
    dataset: str, run_id: str, times: tuple[str, str], order: Order, results: Mapping[str, Checked], page_key: str
) -> Report:
    """`times`: start and end, ISO 8601 in UTC. The details have every broken rule with its samples."""
    sentence, is_good = verdict(order, results.values())
    return Report(
        dataset=dataset,
        operation=OPERATION,
        run_id=run_id,
        started_at=times[0],
        finished_at=times[1],
        ok=is_good,
        sentence=sentence,
        numbers=_numbers(order, results),
        details={
            "data_docs": page_key,
            "order": msgspec.to_builtins(order),
            "sampling": sampling_sentence(order),
            "stop": stops(results.values()),
            "inputs": {name: _details(checked) for name, checked in results.items()},
        },
    )


def _numbers(order: Order, results: Mapping[str, Checked]) -> dict[str, float]:
    findings = [finding for checked in results.values() for finding in checked.findings if finding.judged]
    broken = [finding for checked in results.values() for finding in checked.broken()]
    found = {
        "rules": len(findings),
        "kept_ratio": sum(finding.met for finding in findings) / len(findings) if findings else 0.0,
        "sample_percent": order.sample_percent,
        "unreadable_inputs": sum(bool(checked.error) for checked in results.values()),
        "took_s": round(sum(checked.took_s for checked in results.values()), 3),
    }
    for severity in ("critical", "error", "warning", "info"):
        found[f"broken_{severity}"] = sum(finding.severity == severity for finding in broken)
    for name, checked in results.items():
        if not checked.error:
            found[f"{name}_rows"], found[f"{name}_looked"] = checked.profile.rows, checked.profile.looked
    return found


def _details(checked: Checked) -> dict[str, Any]:
    return {
        "what": checked.what,
        "error": checked.error,
        "baseline": checked.baseline,
        "broken": msgspec.to_builtins(checked.broken()),
        "not_judged": {finding.rule: finding.why for finding in checked.findings if not finding.judged},
    }
