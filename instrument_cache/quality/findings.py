"""Counts and figures against the bounds of the rules → what became of each rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from instrument_cache.contract import QualityRule
from instrument_cache.contract.bounds import bounds
from instrument_cache.contract.quality import FIELD_METRICS
from instrument_cache.quality.model import Evaluated, Finding, Profile, Sample, Tally
from instrument_cache.quality.profiling import can_compare, distribution_drift, null_drift, row_drift

_NO_BASELINE: Final = "there is no last good run with rows enough to measure against"
_UNITS: Final = {
    "freshnessSeconds": "seconds",
    "rowCountDrift": "percent",
    "nullDrift": "points of percent",
    "distributionDrift": "index",
}


class Figure(NamedTuple):
    """One number about the whole; `value` None: it cannot be told, and `why` says so. `where`: the field it is of."""

    value: float | None
    why: str = ""
    where: str = ""


class Measured(NamedTuple):
    """Everything that is known of one input."""

    tallies: Mapping[str, Tally]
    expectations: Mapping[str, list[Evaluated]]
    unreadable: Tally
    misplaced: Tally
    profile: Profile
    baseline: Profile | None
    now_us: int


def findings_of(rules: Sequence[QualityRule], measured: Measured) -> list[Finding]:
    """One for each rule, in their order."""
    return [_finding(rule, measured) for rule in rules]


def _finding(rule: QualityRule, measured: Measured) -> Finding:
    if rule.metric in FIELD_METRICS:
        return _of_values(rule, measured.tallies.get(rule.name, Tally()), measured.expectations.get(rule.name, []))
    if rule.metric == "unreadableRecords":
        return _of_values(rule, measured.unreadable, [])
    if rule.metric == "misplacedRecords":
        return _of_values(rule, measured.misplaced, [])
    if rule.metric in _FIGURES:
        return _of_figure(rule, _FIGURES[rule.metric](rule, measured), measured.profile.looked)
    why = f"a rule of the type {rule.kind} is for people"
    return _of_figure(rule, Figure(None, why), 0)


def _of_values(rule: QualityRule, tally: Tally, expectations: list[Evaluated]) -> Finding:
    is_share = rule.unit == "percent"
    observed = tally.unexpected / max(tally.looked, 1) * 100 if is_share else float(tally.unexpected)
    met = bounds(rule.expects).holds(observed)
    return _made(rule, observed, tally.looked, met, samples=tally.samples, expectations=expectations)


def _of_figure(rule: QualityRule, figure: Figure, looked: int) -> Finding:
    if figure.value is None:
        return _made(rule, 0.0, looked, True, judged=False, why=figure.why)
    met = bounds(rule.expects).holds(figure.value)
    samples = [] if met or not figure.where else [Sample(figure.where, f"{figure.value:.6g}")]
    return _made(rule, round(figure.value, 6), looked, met, why=figure.why, samples=samples)


def _made(rule: QualityRule, observed: float, looked: int, met: bool, **more: Any) -> Finding:
    metric = rule.metric or rule.kind
    expects = " and ".join(f"{operator} {bound}" for operator, bound in rule.expects.items())
    return Finding(
        rule=rule.name,
        field=rule.field,
        metric=metric,
        severity=rule.severity,
        expects=expects,
        observed=observed,
        unit=_UNITS.get(metric, rule.unit),
        looked=looked,
        met=met,
        description=rule.description,
        **more,
    )


def _row_count(rule: QualityRule, measured: Measured) -> Figure:
    return Figure(measured.profile.rows)


def _freshness(rule: QualityRule, measured: Measured) -> Figure:
    newest_us = measured.profile.newest_us
    return Figure(max(0.0, (measured.now_us - newest_us) / 1e6)) if newest_us else Figure(None, "no record has a time")


def _row_drift(rule: QualityRule, measured: Measured) -> Figure:
    if measured.baseline is None:
        return Figure(None, _NO_BASELINE)
    return Figure(row_drift(measured.baseline, measured.profile), f"{measured.baseline.rows:,} rows then")


def _drift(measure: Callable[[Profile, Profile, str], float]) -> Callable[[QualityRule, Measured], Figure]:
    """A figure of the rule's field, or of the field where it is worst."""

    def worst(rule: QualityRule, measured: Measured) -> Figure:
        before, now = measured.baseline, measured.profile
        if before is None or not can_compare(before, now):
            return Figure(None, _NO_BASELINE)
        names = [rule.field] if rule.field else [name for name in now.fields if name in before.fields]
        found = {name: measure(before, now, name) for name in names if name in before.fields and name in now.fields}
        if not found:
            return Figure(None, "the last good run did not look at this field")
        where = max(found, key=lambda name: found[name])
        return Figure(found[where], f"field {where}", where)

    return worst


_FIGURES: Final[dict[str | None, Callable[[QualityRule, Measured], Figure]]] = {
    "rowCount": _row_count,
    "freshnessSeconds": _freshness,
    "rowCountDrift": _row_drift,
    "nullDrift": _drift(null_drift),
    "distributionDrift": _drift(distribution_drift),
}
