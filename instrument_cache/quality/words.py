"""A run in words: one sentence for the report, and lines for the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from instrument_cache.quality.model import BACKUP, FAIL_ON, RANK, Checked, Finding, Order


def sampling_sentence(order: Order) -> str:
    """How much was looked at, and what that means."""
    if order.sample_percent >= 100:
        return "Every record was looked at."
    return (
        f"Only {order.sample_percent} % of the records were looked at, chosen by their keys: a value that is there "
        "twice may be missed, and rare faults too."
    )


def verdict(order: Order, results: Iterable[Checked]) -> tuple[str, bool]:
    """One sentence, and whether the run is good."""
    results = list(results)
    away = [f"the {checked.input} could not be read: {checked.error}" for checked in results if checked.error]
    red = any(RANK[finding.severity] >= RANK[order.fail_on] for checked in results for finding in checked.broken())
    parts = [*away, *filter(None, map(_broken_words, results))]
    if not results:
        return "Nothing was looked at.", False
    if not parts:
        return f"Every rule is kept by the {_names(results)}.", True
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}.", not away and not red


def _names(results: list[Checked]) -> str:
    return " and the ".join(checked.input for checked in results)


def _broken_words(checked: Checked) -> str:
    """`the cache breaks 1 critical rule (x), 2 warning rules (y, z)`."""
    broken = checked.broken()
    counts = Counter(finding.severity for finding in broken)
    parts = [
        f"{counts[severity]} {severity} rule{'s' if counts[severity] > 1 else ''} "
        f"({', '.join(finding.rule for finding in broken if finding.severity == severity)})"
        for severity in reversed(FAIL_ON)
        if counts[severity]
    ]
    return f"the {checked.input} breaks {', '.join(parts)}" if parts else ""


def stops(results: Iterable[Checked]) -> list[str]:
    """Why the stream should stop, by the contract: `cache: rule`. An old backup says nothing of the stream of today."""
    return [
        f"{checked.input}: {finding.rule}"
        for checked in results
        if checked.input != BACKUP
        for finding in checked.broken("critical")
    ]


def lines(results: Iterable[Checked]) -> Iterator[str]:
    """Each input, and each broken rule with its samples."""
    for checked in results:
        if checked.error:
            yield f"{checked.input}: could not be read: {checked.error}"
            continue
        profile, kept = checked.profile, sum(finding.met for finding in checked.findings)
        what = f" ({checked.what})" if checked.what else ""
        yield (
            f"{checked.input}{what}: {profile.rows:,} records, {profile.looked:,} looked at, "
            f"{kept} of {len(checked.findings)} rules kept, {checked.took_s:.1f} s"
        )
        for finding in checked.broken():
            yield from _finding_lines(finding)


def _finding_lines(finding: Finding) -> Iterator[str]:
    expectations = ", ".join(evaluated.type for evaluated in finding.expectations) or finding.metric
    yield (
        f"  {finding.severity.upper()} {finding.rule}: {expectations}: expected {finding.expects}, "
        f"found {finding.observed:,.6g} {finding.unit} of {finding.looked:,}. {finding.description}".rstrip()
    )
    yield from (f"    {sample.place}: {sample.value}" for sample in finding.samples)
