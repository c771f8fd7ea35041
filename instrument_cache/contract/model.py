"""What the product knows about one dataset, as data. `load_contract` makes it; nothing here reads a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as member
from enum import StrEnum
from typing import Any, Final

WIRE_VERSION_MIN: Final = 10**15
WIRE_VERSION_MAX: Final = 10**16 - 1


class VersionUnit(StrEnum):
    """What a source's version field counts. On the wire a version has always 16 digits, whatever the source counts.

    Times become microseconds since 1970. A log position (0 to 9·10¹⁵ - 1) is added to 10¹⁵, which keeps its order.
    """

    MICROSECONDS = "microseconds"
    MILLISECONDS = "milliseconds"
    SECONDS = "seconds"
    LOG_POSITION = "log position"

    @property
    def is_time(self) -> bool:
        """True if a version says when: only then do its age, a TTL and "too far ahead" mean anything."""
        return self is not VersionUnit.LOG_POSITION

    def to_wire(self, value: int) -> int:
        """The source's number → the wire's 16 digits. Raises ValueError if it does not fit, naming the range."""
        wire = value * _FACTORS[self] + (0 if self.is_time else WIRE_VERSION_MIN)
        if WIRE_VERSION_MIN <= wire <= WIRE_VERSION_MAX:
            return wire
        low, high = self.from_wire(WIRE_VERSION_MIN), self.from_wire(WIRE_VERSION_MAX)
        raise ValueError(f"version {value} is no number of {self.value}; it must be from {low} to {high}")

    def from_wire(self, version: int) -> int:
        """The wire's version → the source's number, rounded down."""
        return self.from_wire_many((version,))[0]

    def from_wire_many(self, versions: Sequence[int]) -> Sequence[int]:
        """The same for many."""
        factor, base = _FACTORS[self], 0 if self.is_time else WIRE_VERSION_MIN
        return versions if (factor, base) == (1, 0) else [(version - base) // factor for version in versions]


_FACTORS: Final = {
    VersionUnit.MICROSECONDS: 1,
    VersionUnit.MILLISECONDS: 1_000,
    VersionUnit.SECONDS: 1_000_000,
    VersionUnit.LOG_POSITION: 1,
}


@dataclass(frozen=True, slots=True)
class QualityRule:
    """One expectation on a dataset (`field` None) or on a field. Kept as data: the stream never judges by it.

    A rule is a `metric` of the standard's library or of the product's own, an SQL `query`, or a text; `expects` maps
    the operator to its bound: {"mustBeLessThan": 5}. `severity` is `critical` (the stream must stop), `error` (the data
    must not be published so), `warning` or `info`.
    """

    name: str
    field: str | None
    kind: str
    severity: str
    metric: str | None = None
    query: str | None = None
    expects: Mapping[str, Any] = member(default_factory=dict)
    unit: str = "rows"
    arguments: Mapping[str, Any] = member(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a source's record. `identifier` names the check it must pass: see `IDENTIFIERS` in `parse`.

    `kept` fields are those that the cache stores; the others are described so that a reader knows what is left out.
    """

    name: str
    type: type
    identifier: str | None = None
    pattern: str | None = None
    required: bool = False
    kept: bool = True
    description: str = ""


@dataclass(frozen=True, slots=True)
class Alias:
    """A second name of a record: `{prefix}:{value of field}` leads to the record's key."""

    prefix: str
    field: Field


@dataclass(frozen=True, slots=True)
class Contract:
    """What the product knows about one dataset. Made by `load_contract`; times in seconds, sizes in bytes.

    `fields` are the kept ones, in the order in which they are stored; `input_fields` all that the contract describes.
    """

    dataset: str
    version: str
    fields: tuple[Field, ...]
    key: Field
    aliases: tuple[Alias, ...]
    version_field: Field
    key_prefix: str
    ttl_s: int | None
    tombstone_ttl_s: int
    record_bytes_max: int
    version_ahead_s_max: int
    version_unit: VersionUnit = VersionUnit.MICROSECONDS
    replay_s_max: int = 0
    http_max_age_s: int = 0
    input_fields: tuple[Field, ...] = ()
    quality: tuple[QualityRule, ...] = ()
    purpose: str = ""
    notes: Mapping[str, str] = member(default_factory=dict)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the kept fields, besides the key, that every put must have. A delete has only the key."""
        return tuple(kept.name for kept in self.fields if kept.required and kept.name != self.key.name)

    def redis_key(self, identifier: str) -> str:
        """`instr:{CUSIP}`."""
        return f"{self.key_prefix}:{identifier}"
