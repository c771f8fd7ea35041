"""When which record is due: fixed before the first is sent, so that a slow answer delays no later question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_TICK_US: Final = 1_000


@dataclass(frozen=True)
class Schedule:
    """Record `at` of `count` is about instrument `at % keys` and due at a whole millisecond. Times in µs since 1970.

    Each instrument comes again only after `keys / rate_per_s` seconds: a latency must stay below that to be told right.
    """

    start_us: int
    rate_per_s: int
    count: int
    keys: int

    def due_us(self, at: int) -> int:
        return self.start_us + at * 1_000_000 // self.rate_per_s // _TICK_US * _TICK_US

    def due_by(self, now_us: int) -> int:
        """How many records are due at that time."""
        if now_us < self.start_us:
            return 0
        ticks = (now_us - self.start_us) // _TICK_US + 1
        # The first record of the next tick is the first that is not due.
        return min(self.count, -(-ticks * _TICK_US * self.rate_per_s // 1_000_000))

    def newest_about(self, key: int, now_us: int) -> int | None:
        """The newest record about an instrument that is due, if there is one."""
        due = self.due_by(now_us)
        if due <= key:
            return None
        return key + (due - 1 - key) // self.keys * self.keys
