"""The results of a run as one page that needs no network: no script, no style, font or picture of another host.

What the data holds is data of strangers: it is escaped, and the page's own policy lets nothing run or be fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Final

from instrument_cache.quality.great_expectations_part import rendered
from instrument_cache.quality.model import CACHE, Checked, FieldProfile, Finding, Order
from instrument_cache.quality.words import sampling_sentence, verdict

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_CSS: Final = resources.files("instrument_cache.quality").joinpath("page.css")
_VALUES_SHOWN: Final = 12


def page(dataset: str, run_id: str, moment: str, order: Order, results: Mapping[str, Checked]) -> str:
    """HTML in one file. `moment`: ISO 8601 in UTC."""
    sentence, is_good = verdict(order, results.values())
    parts = [_input(checked, run_id, moment) for checked in results.values()]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Data quality of {escape(dataset)}, {escape(moment)}</title>",
            f"<style>{_CSS.read_text(encoding='utf-8')}</style></head><body><main>",
            f"<h1>Data quality of {escape(dataset)}</h1>",
            f'<p class="verdict {"good" if is_good else "bad"}">{escape(sentence)}</p>',
            f"<p>Run <code>{escape(run_id)}</code>, {escape(moment)}. {escape(sampling_sentence(order))} "
            f"It is red from <code>{escape(order.fail_on)}</code> on.</p>",
            *parts,
            "</main></body></html>",
        ]
    )


def _input(checked: Checked, run_id: str, moment: str) -> str:
    title = f"<h2>{escape(checked.input.capitalize())}{escape(f': {checked.what}' if checked.what else '')}</h2>"
    if checked.error:
        return f'{title}<p class="bad">It could not be read: {escape(checked.error)}</p>'
    broken = checked.broken()
    met = [finding for finding in checked.findings if finding.met]
    return "\n".join(
        [
            title,
            f"<p>{_facts(checked)}</p>",
            *(_broken(finding) for finding in broken),
            f"<details><summary>{len(met)} rules are kept</summary>{_rules(met)}</details>",
            f"<details><summary>Profile</summary>{_profile(checked)}</details>",
            "<details><summary>As Great Expectations evaluated it</summary>",
            '<div class="ge wide" tabindex="0" role="region" aria-label="Great Expectations">',
            f"{rendered(checked, run_id, moment)}</div></details>",
        ]
    )


def _facts(checked: Checked) -> str:
    profile = checked.profile
    tombstones = f", {profile.tombstones:,} deletions that are remembered" if checked.input == CACHE else ""
    baseline = (
        f" Measured against {escape(checked.baseline)}."
        if checked.baseline
        else " The first good run will be the measure."
    )
    looked = f"{profile.rows:,} records, {profile.looked:,} of them looked at"
    return f"{looked}{tombstones}, in {checked.took_s:.1f} s.{baseline}"


def _broken(finding: Finding) -> str:
    rows = [[escape(sample.place), escape(sample.value)] for sample in finding.samples]
    samples = _table(f"Samples of {finding.rule}", ["where", "what is there"], rows) if rows else ""
    return (
        f'<h3 class="{finding.severity}">{escape(finding.severity)}: {escape(finding.rule)}</h3>'
        f"<p>{escape(finding.description)} Expected of {escape(finding.metric)}: "
        f"<code>{escape(finding.expects)}</code>; found: <code>{_number(finding)}</code> of {finding.looked:,}.</p>"
        f"{samples}"
    )


def _rules(findings: Sequence[Finding]) -> str:
    rows = [
        [
            escape(f.rule),
            escape(f.severity),
            escape(f"{f.metric} {f.expects}"),
            _number(f) if f.judged else escape(f.why),
        ]
        for f in findings
    ]
    return _table("Rules that are kept", ["rule", "severity", "expects", "found"], rows)


def _number(finding: Finding) -> str:
    return escape(f"{finding.observed:,.6g} {finding.unit}")


def _profile(checked: Checked) -> str:
    rows = [
        [escape(name), f"{field.nulls:,}", escape(_distribution(field))]
        for name, field in checked.profile.fields.items()
    ]
    return _table(f"Profile of the {checked.input}", ["field", "empty", "distribution"], rows)


def _distribution(field: FieldProfile) -> str:
    """The most frequent values, or lengths."""
    counts, what = (field.lengths, "length ") if field.values is None else (field.values, "")
    shown = sorted(counts.items(), key=lambda item: -item[1])[:_VALUES_SHOWN]
    more = f", and {len(counts) - len(shown)} others" if len(counts) > len(shown) else ""
    return ", ".join(f"{what}{value[:40]}: {count:,}" for value, count in shown) + more


def _table(label: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    return "".join(_table_lines(label, header, rows))


def _table_lines(label: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """The cells are HTML. A table that is wider than a phone scrolls by itself, by keyboard too."""
    yield f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}"><table><thead><tr>'
    yield from (f'<th scope="col">{cell}</th>' for cell in header)
    yield "</tr></thead><tbody>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
    yield "</tbody></table></div>"
