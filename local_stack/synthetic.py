"""Synthetic instruments: CUSIPs of the internal-use issuers 990-999, records shaped like real ones (600-900 bytes)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import msgspec
from stdnum import cusip

# No I, O and Z, which CUSIP issuers avoid because they look like digits.
_SIGNS: Final = "0123456789ABCDEFGHJKLMNPQRSTUVWXY"
ROWS_MAX: Final = 10 * len(_SIGNS) ** 5
_CURRENCIES: Final = ("USD", "EUR", "GBP", "JPY", "CHF", "CAD")
_SECTORS: Final = ("Financials", "Industrials", "Utilities", "Materials", "Health Care", "Energy")
_WORDS: Final = (
    "senior",
    "secured",
    "callable",
    "floating",
    "rate",
    "note",
    "due",
    "series",
    "guaranteed",
    "municipal",
    "agency",
)


def synthetic_cusip(number: int) -> str:
    """The CUSIP of instrument `number` (0 ≤ number < ROWS_MAX): always the same, check digit included."""
    issuer, rest = number % 10, number // 10
    signs = ""
    for _ in range(5):
        rest, sign = divmod(rest, len(_SIGNS))
        signs += _SIGNS[sign]
    base = f"99{issuer}{signs}"
    return base + str(cusip.calc_check_digit(base))


def synthetic_rows(count: int, seed: int = 1, start: int = 0) -> Iterator[bytes]:
    """`count` rows from instrument `start` on; the same arguments give the same bytes."""
    chance = random.Random(seed)
    for number in range(start, start + count):
        yield msgspec.json.encode(_row(number, chance))


def _row(number: int, chance: random.Random) -> dict[str, str | None]:
    coupon = f"{chance.randrange(1, 9)}.{chance.randrange(0, 999):03d}%"
    return {
        "cusip": synthetic_cusip(number),
        "pme": f"PME{number:09d}",
        "isin": None,
        "figi": f"BBG{number:09d}",
        "symbol": f"SYN{number % 100_000}",
        "name": f"Synthetic Issuer {number % 9973} {coupon} {2027 + number % 30}",
        "currency": chance.choice(_CURRENCIES),
        "sector": chance.choice(_SECTORS),
        "exchange": "OTC",
        "country": "United States",
        "summary": " ".join(chance.choices(_WORDS, k=chance.randrange(50, 72))),
    }
