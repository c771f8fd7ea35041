"""What an operator sees: tiles, each the state of one thing with the sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from instrument_cache.doctor.model import SEVERITIES, Finding, Severity


class Point(msgspec.Struct, frozen=True):
    """One run of an operation: when it began (ISO 8601, UTC), its number, and whether the run was good."""

    at: str
    value: float
    ok: bool = True


class Plot(msgspec.Struct, frozen=True):
    """A number over the last runs, the oldest first. `limit`: what it should not exceed; None if there is no such."""

    title: str
    unit: str
    points: tuple[Point, ...]
    limit: float | None = None


class Fact(msgspec.Struct, frozen=True):
    """A name and its value, for people."""

    name: str
    value: str


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """One thing. `part` is its name for programs, `value` the one figure that tells most.

    `mend` says what to do if it is not well; `runbook` is the name of a page of docs/runbook, and `dag` the operation
    that a person may start from here; either may be "". `report` is where the page has the report that is
    the proof: `reports/{operation}/{date}/{run id}`, or `runs/{operation}/{run id}`; or "".
    """

    part: str
    title: str
    severity: Severity
    value: str
    sentence: str
    mend: str = ""
    runbook: str = ""
    dag: str = ""
    report: str = ""
    facts: tuple[Fact, ...] = ()
    plots: tuple[Plot, ...] = ()


class Past(msgspec.Struct, frozen=True):
    """What the doctor found a short while ago, and when last (ISO 8601, UTC). It is over."""

    finding: Finding
    seen_at: str


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset at one moment (ISO 8601, UTC): what the doctor found not to be well, and all tiles, red first.

    `past`: what was not well within the last minutes, and is now; `well`: what the doctor found to be well.
    `examined_at` is when it began to look (ISO 8601, UTC), or "" as long as it has not spoken: then that it found
    nothing says nothing.
    """

    dataset: str
    at: str
    findings: tuple[Finding, ...]
    tiles: tuple[Tile, ...]
    past: tuple[Past, ...] = ()
    well: tuple[Finding, ...] = ()
    examined_at: str = ""

    @property
    def severity(self) -> Severity:
        """The worst of all."""
        found = {finding.severity for finding in self.findings} | {tile.severity for tile in self.tiles}
        return next((severity for severity in SEVERITIES if severity in found), "ok")


def tiles_red_first(tiles: Iterable[Tile]) -> tuple[Tile, ...]:
    """The worst first; within a severity in the given order."""
    return tuple(sorted(tiles, key=lambda tile: SEVERITIES.index(tile.severity)))
