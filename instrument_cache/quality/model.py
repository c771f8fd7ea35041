"""What is asked of a check, and what one came to."""

from __future__ import annotations

from typing import Any, Final

import msgspec

CACHE: Final = "cache"
SOURCE: Final = "source"
BACKUP: Final = "backup"
INPUTS: Final = (CACHE, SOURCE, BACKUP)
SAMPLES: Final = 10
# A text that is sampled is cut, so that a report stays small.
SAMPLE_CHARACTERS_MAX: Final = 200
# From which severity on a broken rule makes the run red; `never`: it is only told.
FAIL_ON: Final = ("info", "warning", "error", "critical", "never")
RANK: Final = {severity: rank for rank, severity in enumerate(FAIL_ON)}


class Order(msgspec.Struct, frozen=True):
    """`inputs` of `INPUTS`, `sample_percent` of the records (1…100, chosen by their keys), `fail_on` of `FAIL_ON`."""

    inputs: tuple[str, ...] = (CACHE, SOURCE)
    sample_percent: int = 100
    fail_on: str = "error"


class Sample(msgspec.Struct, frozen=True):
    """One record that breaks a rule: where it lies (a Redis key, or the source's key) and what it holds there."""

    place: str
    value: str


class Tally(msgspec.Struct):
    """Of one rule over all batches: how many values were looked at, how many are not as expected, and some of them."""

    looked: int = 0
    unexpected: int = 0
    samples: list[Sample] = msgspec.field(default_factory=list)

    def add(self, looked: int, unexpected: int, samples: list[Sample]) -> None:
        self.looked += looked
        self.unexpected += unexpected
        self.samples += samples[: SAMPLES - len(self.samples)]


class Evaluated(msgspec.Struct):
    """One expectation of Great Expectations over all batches: its type, its arguments, and what it found."""

    type: str
    kwargs: dict[str, Any]
    tally: Tally = msgspec.field(default_factory=Tally)


class FieldProfile(msgspec.Struct):
    """`values` is None for a field with many different ones: then `lengths` of its texts tell its distribution."""

    nulls: int = 0
    values: dict[str, int] | None = msgspec.field(default_factory=dict)
    lengths: dict[str, int] = msgspec.field(default_factory=dict)


class Profile(msgspec.Struct):
    """`rows` is an estimate where only some were `looked` at. `newest_us`: µs since 1970, 0: not known."""

    rows: int = 0
    looked: int = 0
    tombstones: int = 0
    newest_us: int = 0
    fields: dict[str, FieldProfile] = msgspec.field(default_factory=dict)


class Finding(msgspec.Struct, frozen=True):
    """What became of one rule. `observed` is in `unit`; not `judged`: it could not be (`why`), and counts as met.

    `expectations` are those of Great Expectations that were evaluated for it.
    """

    rule: str
    field: str | None
    metric: str
    severity: str
    expects: str
    observed: float
    unit: str
    looked: int
    met: bool
    judged: bool = True
    why: str = ""
    description: str = ""
    samples: list[Sample] = msgspec.field(default_factory=list)
    expectations: list[Evaluated] = msgspec.field(default_factory=list)


class Checked(msgspec.Struct, frozen=True):
    """What became of one input. `error`: it could not be read, and nothing is known of it. `what`: a backup's name."""

    input: str
    what: str = ""
    error: str = ""
    took_s: float = 0.0
    baseline: str = ""
    profile: Profile = msgspec.field(default_factory=Profile)
    findings: list[Finding] = msgspec.field(default_factory=list)

    def broken(self, at_least: str = "info") -> list[Finding]:
        """The findings of this severity or a worse one, the worst first."""
        found = [finding for finding in self.findings if not finding.met and RANK[finding.severity] >= RANK[at_least]]
        return sorted(found, key=lambda finding: -RANK[finding.severity])

    @property
    def is_good(self) -> bool:
        """True if later runs may be measured against this one."""
        return not self.error and not self.broken("error")
