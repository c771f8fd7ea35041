"""How much one replay may do: write so many records, so many per second."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from instrument_cache.errors import DeadLetterError

COUNT_MAX: Final = 100_000
RATE_PER_S_MAX: Final = 100_000.0
# No replay looks at more letters, whether it writes them or not.
LETTERS_MAX: Final = 100_000
# What a replay holds in memory between its plan and its last record.
PLANNED_BYTES_MAX: Final = 256_000_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `count_max` records are written, at most `rate_per_s` each second."""

    count_max: int = 1000
    rate_per_s: float = 100.0

    def __post_init__(self) -> None:
        if not 1 <= self.count_max <= COUNT_MAX:
            raise DeadLetterError(f"the limit is {self.count_max}; it must be from 1 to {COUNT_MAX} records")
        if not (math.isfinite(self.rate_per_s) and 0 < self.rate_per_s <= RATE_PER_S_MAX):
            raise DeadLetterError(
                f"the rate is {self.rate_per_s}; it must be above 0, at most {RATE_PER_S_MAX:.0f} per s"
            )


def paced(
    items: Iterable[T],
    rate_per_s: float,
    now_s: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[T]:
    """The items, the n-th not before n / rate seconds; time that was lost is not made up for by a burst."""
    due_s = now_s()
    for item in items:
        if (early_s := due_s - now_s()) > 0:
            sleep(early_s)
        yield item
        due_s = max(due_s, now_s() - 1 / rate_per_s) + 1 / rate_per_s
