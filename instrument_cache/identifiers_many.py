"""The checks of identifiers for many at once, with numpy: for the stream only, which has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from instrument_cache.contract import Field
from instrument_cache.errors import IdentifierError
from instrument_cache.identifiers import CUSIP_LENGTH, check_for, digit_sums, is_cusip


def _table(factor: int) -> Any:
    table = np.full(256, np.nan)
    for byte, total in digit_sums(factor).items():
        table[byte] = total
    return table


_ODD: Final = _table(1)
_EVEN: Final = _table(2)


def valid_cusips(values: Sequence[str | None]) -> Sequence[bool]:
    """For each value whether `is_cusip` holds, at a third of its cost."""
    try:
        lengths = set(map(len, values))  # type: ignore[arg-type]
        together = "".join(values).encode("ascii")  # type: ignore[arg-type]
    except (TypeError, UnicodeEncodeError):  # one has no key at all, or is not ASCII
        return _one_by_one(values)
    if lengths != {CUSIP_LENGTH}:
        return _one_by_one(values)
    characters = np.frombuffer(together, dtype=np.uint8).reshape(-1, CUSIP_LENGTH)
    sums = _ODD[characters[:, 0:8:2]].sum(axis=1) + _EVEN[characters[:, 1:8:2]].sum(axis=1)
    # What a CUSIP cannot have is not a number, and neither is its sum.
    found: list[bool] = (-sums % 10 == characters[:, 8] - 48.0).tolist()
    return found


def _one_by_one(values: Sequence[str | None]) -> list[bool]:
    return [value is not None and is_cusip(value) for value in values]


def valid_for(field: Field) -> Callable[[Sequence[str | None]], Sequence[bool]]:
    """The check that the contract asks of a field, for many values; None is never valid."""
    if field.identifier == "cusip":
        return valid_cusips
    check = check_for(field)

    def holds(value: str | None) -> bool:
        try:
            return value is not None and (check is None or check(value) == value)
        except IdentifierError:
            return False

    return lambda values: [holds(value) for value in values]
