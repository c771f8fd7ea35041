"""Ages beyond which a proof is no longer one. docs/operator-page.md gives the reasons."""

from __future__ import annotations

from typing import Final, NamedTuple


class AgeLimits(NamedTuple):
    """In seconds: from when on a tile warns, and from when on it is red."""

    warn_s: float
    red_s: float


_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR
# Each hour: two missed ones are a warning, five are red.
EQUALITY: Final = AgeLimits(2.5 * _HOUR, 6 * _HOUR)
QUALITY: Final = EQUALITY
# Each quarter of an hour.
BACKUP: Final = AgeLimits(0.75 * _HOUR, 2 * _HOUR)
# Each week: one missed drill is a warning, three are red.
DRILL: Final = AgeLimits(8 * _DAY, 22 * _DAY)
BUDGETS: Final = AgeLimits(2 * _DAY, 7 * _DAY)
# Of a running job, as the watch has it (ICACHE_WATCH_CHECKPOINT_AGE_S_MAX).
CHECKPOINT: Final = AgeLimits(120, 300)
