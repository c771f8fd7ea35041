"""Identifiers: CUSIP, LEI, ISIN and FIGI with their check digits, and opaque ids that follow the contract's pattern.

The check that every streamed record passes is a table look-up; what is wrong with a value is worked out only once it
failed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from stdnum import cusip as stdnum_cusip
from stdnum import figi as stdnum_figi
from stdnum import isin as stdnum_isin
from stdnum.exceptions import InvalidChecksum, InvalidComponent, ValidationError

from instrument_cache.contract import Field
from instrument_cache.errors import IdentifierError

CUSIP_LENGTH: Final = 9
LEI_LENGTH: Final = 20
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*@#"


def digit_sums(factor: int) -> dict[int, int]:
    """Byte of a character → sum of the decimal digits of its value times `factor`."""
    return {ord(c): value * factor // 10 + value * factor % 10 for value, c in enumerate(_ALPHABET)}


_ODD: Final = digit_sums(1)
_EVEN: Final = digit_sums(2)


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
    return check_cusip(_plain(text))


def _plain(text: str) -> str:
    return text.replace(" ", "").upper() if text.isascii() else text


def _lei_digits() -> dict[int, str]:
    """Character of a LEI → its value in decimal: A is 10, Z is 35."""
    return {ord(c): str(value) for value, c in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")}


_LEI_DIGITS: Final = _lei_digits()
_LEI_FORM: Final = re.compile(r"[0-9A-Z]{18}[0-9]{2}", re.ASCII).fullmatch


def is_lei(value: str) -> bool:
    """True for 18 characters of 0-9 A-Z and the two check digits (ISO 17442). Never raises for a text."""
    return _LEI_FORM(value) is not None and int(value.translate(_LEI_DIGITS)) % 97 == 1


def check_lei(value: str) -> str:
    """Return `value` if it is a LEI, else raise IdentifierError with the broken rule."""
    if is_lei(value):
        return value
    _check_form("LEI", value, LEI_LENGTH)
    if not value[18:].isdigit():
        raise IdentifierError("LEI", value, "characters", f"it ends in {value[18:]!r}; a LEI ends in two digits")
    right = 98 - int((value[:18] + "00").translate(_LEI_DIGITS)) % 97
    raise IdentifierError("LEI", value, "check_digit", f"it ends in {value[18:]}; {value[:18]!r} takes {right:02d}")


def check_isin(value: str) -> str:
    """Return `value` if it is an ISIN, else raise IdentifierError with the broken rule."""
    return _check_by_reference("ISIN", value, stdnum_isin.validate, "it begins with no country code of an ISIN")


def check_figi(value: str) -> str:
    """Return `value` if it is a FIGI, else raise IdentifierError with the broken rule."""
    return _check_by_reference("FIGI", value, stdnum_figi.validate, "its third letter must be G, after a free prefix")


def _check_by_reference(kind: str, value: str, validate: Callable[[str], str], component: str) -> str:
    """For kinds that have 12 characters. The reference takes other spellings of the same id; the cache keeps one."""
    _check_form(kind, value, 12)
    try:
        validate(value)
    except InvalidChecksum:
        raise IdentifierError(
            kind, value, "check_digit", f"its last digit {value[-1]!r} is not the check digit"
        ) from None
    except InvalidComponent:
        raise IdentifierError(kind, value, "component", component) from None
    except ValidationError:
        raise IdentifierError(
            kind, value, "format", f"its letters and digits do not stand where {kind}s have them"
        ) from None
    return value


def _check_form(kind: str, value: str, length: int) -> None:
    if not value.isascii():
        raise IdentifierError(kind, value, "ascii", f"it is not plain ASCII; only 0-9 A-Z are allowed in {kind}s")
    if len(value) != length:
        raise IdentifierError(kind, value, "length", f"it has {len(value)} characters; {kind}s have {length}")
    bad = sorted({c for c in value if ord(c) not in _LEI_DIGITS})
    if bad:
        raise IdentifierError(kind, value, "characters", f"it has {bad}; only 0-9 A-Z are allowed in {kind}s")


def pattern_check(name: str, pattern: str) -> Callable[[str], str]:
    """A check for ids that match `pattern` as a whole (ASCII only)."""
    match = re.compile(pattern, re.ASCII).fullmatch

    def check(value: str) -> str:
        if value.isascii() and match(value):
            return value
        raise IdentifierError(name, value, "pattern", f"it must match {pattern}")

    return check


_CHECKS: Final[dict[str, Callable[[str], str]]] = {
    "cusip": check_cusip,
    "figi": check_figi,
    "isin": check_isin,
    "lei": check_lei,
}


def check_for(field: Field) -> Callable[[str], str] | None:
    """The check that the contract asks of a field, or None."""
    if field.identifier == "pattern":
        return pattern_check(field.name, field.pattern or "")
    return None if field.identifier is None else _CHECKS[field.identifier]


def canonical_for(field: Field) -> Callable[[str], str]:
    """What people may type for a field → the one spelling that is stored; the function raises IdentifierError.

    Ids with a check digit take lower case and spaces. An opaque id is taken as it stands.
    """
    check = check_for(field)
    if check is None:
        return lambda text: text
    if field.identifier == "pattern":
        return check
    return lambda text: check(_plain(text))
