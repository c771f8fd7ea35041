"""A check, and the score of many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec


class Check(msgspec.Struct, frozen=True):
    """`passed` is None where the check does not apply here: it then counts neither way. `fix` is for a failed one."""

    name: str
    weight: int
    passed: bool | None
    sentence: str
    fix: str = ""


def score_percent(checks: Iterable[Check]) -> float:
    """The weight of what passed, of all that applies, 0 to 100. Nothing that applies is 0: nothing is proved."""
    applied = [check for check in checks if check.passed is not None]
    total = sum(check.weight for check in applied)
    return 100 * sum(check.weight for check in applied if check.passed) / total if total else 0.0


def failed_first(checks: Iterable[Check]) -> list[Check]:
    """What costs most comes first, then what passed, then what does not apply."""
    rank = {False: 0, True: 1, None: 2}
    return sorted(checks, key=lambda check: (rank[check.passed], -check.weight))


def failed(checks: Sequence[Check]) -> list[Check]:
    """Those that count against the score."""
    return [check for check in checks if check.passed is False]
