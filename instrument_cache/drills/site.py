"""What a disaster-recovery drill asks of the place where it builds the second region."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Restored:
    """The backup that was restored, when its scan began, and how many entries it holds."""

    backup: str
    started: datetime
    entries: int


@dataclass(frozen=True)
class Served:
    """How many instruments were asked for by REST, and how many answers were exactly what the region holds."""

    asked: int
    right: int


@dataclass(frozen=True)
class Compared:
    """The second region against the source: `keys` instruments, of which so many are behind, and so many too many.

    `behind_s`: the age of the oldest change that the region lacks; 0 if it lacks none. `samples`: keys of either kind.
    """

    keys: int
    behind: int
    extra: int
    behind_s: float = 0.0
    samples: tuple[str, ...] = ()

    @property
    def is_equal(self) -> bool:
        return self.behind == self.extra == 0


class Site(Protocol):
    """A region that is built from nothing, step by step. Steps raise InstrumentCacheError if they cannot be done."""

    def build(self) -> None:
        """Start an empty Redis with its Sentinels."""
        ...

    def restore(self) -> Restored:
        """Bring the newest good backup of the other region's bucket into it."""
        ...

    def catch_up(self) -> int:
        """Apply what the log brought since the backup, or since the last call. Returns how many records."""
        ...

    def serve(self) -> Served:
        """Start the lookup service and ask it for some instruments."""
        ...

    def compare(self) -> Compared:
        """Compare all of it with the source; what the log brings meanwhile is applied and does not count."""
        ...

    def tear_down(self) -> None:
        """End all of it. May be called at any time, and again."""
        ...
