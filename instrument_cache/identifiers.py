"""Identifiers of instruments: the CUSIP with its check digit, and opaque ids that follow the contract's pattern.

The check that every streamed record passes is a table look-up; what is wrong with a value is worked out only once it
failed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from stdnum import cusip as stdnum_cusip

from instrument_cache.contract import Field
from instrument_cache.errors import IdentifierError

CUSIP_LENGTH: Final = 9
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*@#"


def _digit_sums(factor: int) -> dict[int, int]:
    """Byte of a character → sum of the decimal digits of its value times `factor`."""
    return {ord(c): value * factor // 10 + value * factor % 10 for value, c in enumerate(_ALPHABET)}


_ODD: Final = _digit_sums(1)
_EVEN: Final = _digit_sums(2)


def is_cusip(value: str) -> bool:
    """True for nine characters of 0-9 A-Z * @ # whose last is the check digit. Never raises for a text."""
    try:
        a, b, c, d, e, f, g, h, check = value.encode("ascii")
        total = _ODD[a] + _EVEN[b] + _ODD[c] + _EVEN[d] + _ODD[e] + _EVEN[f] + _ODD[g] + _EVEN[h]
    except (ValueError, KeyError):  # another length, not ASCII, or a character that a CUSIP cannot have
        return False
    return -total % 10 == check - 48


def check_cusip(value: str) -> str:
    """Return `value` if it is a CUSIP, else raise IdentifierError with the broken rule."""
    if is_cusip(value):
        return value
    if not value.isascii():
        raise IdentifierError("CUSIP", value, "ascii", "it is not plain ASCII; a CUSIP has only 0-9 A-Z * @ #")
    if len(value) != CUSIP_LENGTH:
        raise IdentifierError("CUSIP", value, "length", f"it has {len(value)} characters; a CUSIP has 9")
    bad = sorted({c for c in value if c not in _ALPHABET})
    if bad:
        raise IdentifierError("CUSIP", value, "characters", f"it has {bad}; a CUSIP has only 0-9 A-Z * @ #")
    right = stdnum_cusip.calc_check_digit(value[:8])
    raise IdentifierError("CUSIP", value, "check_digit", f"it ends in {value[8]!r}; {value[:8]!r} takes {right!r}")


def canonical_cusip(text: str) -> str:
    """A CUSIP as people type it (lower case, spaces around or within) → its one spelling. Raises IdentifierError."""
    return check_cusip(text.replace(" ", "").upper() if text.isascii() else text)


def pattern_check(name: str, pattern: str) -> Callable[[str], str]:
    """A check for ids that match `pattern` as a whole (ASCII only)."""
    match = re.compile(pattern, re.ASCII).fullmatch

    def check(value: str) -> str:
        if value.isascii() and match(value):
            return value
        raise IdentifierError(name, value, "pattern", f"it must match {pattern}")

    return check


def check_for(field: Field) -> Callable[[str], str] | None:
    """The check that the contract asks of a field, or None."""
    if field.identifier == "cusip":
        return check_cusip
    if field.identifier == "pattern":
        return pattern_check(field.name, field.pattern or "")
    return None
