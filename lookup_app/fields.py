"""Field selection: `?fields=cusip,name` answers with those members only, in the contract's order behind the version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from instrument_cache.contract import Contract
from instrument_cache.projection import encode
from lookup_app.entries import Instrument, unreadable
from lookup_app.problems import VALUE_CHARACTERS_MAX, Problem, ProblemType

VERSION_MEMBER: Final = "v"
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class FieldSelection:
    """The fields that an answer is to have; made by `selection`."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._heads = [(name, b",%b:" % encode(name)) for name in names]

    def of(self, name: str, instrument: Instrument) -> Instrument:
        """The instrument with these fields only; one that is stored without a field has null there.

        `name` is what was asked for. Raises Problem for bytes that cannot be read.
        """
        try:
            members = _decode(instrument.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise unreadable(name) from None
        parts = [head + bytes(members.get(field, b"null")) for field, head in self._heads]
        return instrument._replace(body=b'{"v":%d%b}' % (instrument.version, b"".join(parts)))


def selection(contract: Contract, asked: Sequence[str]) -> FieldSelection:
    """The selection of these fields. Raises Problem for none, or one that the contract does not keep."""
    allowed = [VERSION_MEMBER, *(field.name for field in contract.fields)]
    for name in asked:
        if name not in allowed:
            raise _not_allowed(f"There is no field {name[:VALUE_CHARACTERS_MAX]!r}.", allowed)
    if not asked:
        raise _not_allowed("No field is named.", allowed)
    return FieldSelection([name for name in allowed[1:] if name in asked])


def _not_allowed(what: str, allowed: list[str]) -> Problem:
    detail = f"{what} Name one or more of: {', '.join(allowed)}."
    return Problem(ProblemType.INVALID_FIELDS, detail, {"fields": allowed})
