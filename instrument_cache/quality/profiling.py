"""What the data looks like as a whole, and how far two such looks are apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import log
from typing import Any, Final

from instrument_cache.quality.frame import Page
from instrument_cache.quality.model import FieldProfile, Profile

# A field with more different values than this is told apart by the lengths of its texts.
VALUES_MAX: Final = 100
LENGTH_MAX: Final = 64
# With fewer rows on one side, chance alone moves distributions.
ROWS_MIN: Final = 1000
# Values that both sides have less often count as one: chance moves each of them, and there may be many.
RARE_SHARE: Final = 0.02
# Stands for a value that one side does not have: half a row in ten thousand.
_LEAST_SHARE: Final = 0.00005


class Profiler:
    """Adds batches up to one profile."""

    def __init__(self) -> None:
        self._profile = Profile()
        self._values: dict[str, Counter[str] | None] = {}
        self._lengths: dict[str, Counter[str]] = {}

    def take(self, page: Page) -> None:
        profile = self._profile
        profile.looked += len(page.places) + page.unreadable.unexpected
        profile.tombstones += page.tombstones
        profile.newest_us = max(profile.newest_us, page.newest_us)
        for name, column in page.lists.items():
            self._take_column(name, column)

    def _take_column(self, name: str, column: list[Any]) -> None:
        field = self._profile.fields.setdefault(name, FieldProfile())
        texts = [str(value) for value in column if value is not None]
        field.nulls += len(column) - len(texts)
        self._lengths.setdefault(name, Counter()).update(_lengths(texts))
        self._values[name] = _more_values(self._values.get(name, Counter()), texts)

    def finish(self, rows: int) -> Profile:
        """The profile of `rows` rows, of which those that were taken were looked at."""
        self._profile.rows = rows
        for name, field in self._profile.fields.items():
            values = self._values[name]
            field.values = None if values is None else dict(values)
            field.lengths = dict(self._lengths[name])
        return self._profile


def _more_values(values: Counter[str] | None, texts: list[str]) -> Counter[str] | None:
    """None from the moment on at which there are too many different ones; keys show that in their first rows."""
    if values is None or len(set(texts[: 2 * VALUES_MAX])) > VALUES_MAX:
        return None
    values.update(texts)
    return values if len(values) <= VALUES_MAX else None


def _lengths(texts: Iterable[str]) -> Counter[str]:
    """How many texts have each length; the long ones count as one."""
    found = Counter[str]()
    for length, count in Counter(map(len, texts)).items():
        found[str(length) if length < LENGTH_MAX else f"{LENGTH_MAX}+"] += count
    return found


def can_compare(before: Profile | None, now: Profile) -> bool:
    """Whether there is something to measure against, and both have rows enough that chance does not decide."""
    return before is not None and min(before.looked, now.looked) >= ROWS_MIN


def row_drift(before: Profile, now: Profile) -> float:
    """Rows more or less, in percent of those before."""
    return abs(now.rows - before.rows) / max(before.rows, 1) * 100


def null_drift(before: Profile, now: Profile, field: str) -> float:
    """By how many points of percent the share of empty values moved."""
    return abs(_null_percent(now, field) - _null_percent(before, field))


def _null_percent(profile: Profile, field: str) -> float:
    return profile.fields[field].nulls / max(profile.looked, 1) * 100


def distribution_drift(before: Profile, now: Profile, field: str) -> float:
    """The population stability index of a field's values, or of the lengths of its texts: 0 is the same population."""
    one, other = before.fields[field], now.fields[field]
    if one.values is not None and other.values is not None:
        return stability_index(one.values, other.values)
    return stability_index(one.lengths, other.lengths)


def stability_index(before: dict[str, int], now: dict[str, int]) -> float:
    """Σ (q - p) · ln(q / p) over the shares p and q of every value; the rare ones count as one."""
    if not before or not now:
        return 0.0  # empty on one side: that is told by its nulls
    shares = _shares(before, now)
    common = [(p, q) for p, q in shares if max(p, q) >= RARE_SHARE]
    rare = [(p, q) for p, q in shares if max(p, q) < RARE_SHARE]
    pairs = [*common, (sum(p for p, _ in rare), sum(q for _, q in rare))]
    return sum((q - p) * log(q / p) for p, q in ((max(p, _LEAST_SHARE), max(q, _LEAST_SHARE)) for p, q in pairs))


def _shares(before: dict[str, int], now: dict[str, int]) -> list[tuple[float, float]]:
    all_before, all_now = sum(before.values()), sum(now.values())
    return [(before.get(v, 0) / all_before, now.get(v, 0) / all_now) for v in sorted(before.keys() | now.keys())]
