"""What the doctor says of one part: what is the case, why, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

Severity = Literal["ok", "warn", "red"]
SEVERITIES: Final[tuple[Severity, ...]] = ("red", "warn", "ok")


class Finding(msgspec.Struct, frozen=True):
    """`part` is its name for people and programs ("redis", "flink-job", "s3:second", …).

    `sentence` says what is the case and names the values, `why` the probable cause, `mend` the command that mends it.
    `runbook` is a page of docs/runbook, or "". A part that is well has one finding with the severity "ok", and neither
    `why` nor `mend`.
    """

    part: str
    severity: Severity
    sentence: str
    why: str = ""
    mend: str = ""
    runbook: str = ""


def red_first(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first; within a severity in the given order."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def is_red(findings: Iterable[Finding]) -> bool:
    """True if any part is red."""
    return any(finding.severity == "red" for finding in findings)
