"""What the measurement of one operation at one size came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Status = Callable[[str], None]


@dataclass(frozen=True)
class Goal:
    """A figure and what it must not exceed."""

    name: str
    value: float
    most: float

    @property
    def is_met(self) -> bool:
        return self.value <= self.most


@dataclass(frozen=True)
class Result:
    """`took_s` is what a user waits, `memory_mb` the most that the operation's own process held.

    `figures` are shown beside the goals; their names tell their units. `problems` make the benchmark fail.
    """

    operation: str
    keys: int
    took_s: float
    memory_mb: float
    goals: tuple[Goal, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


Measure = Callable[[int, Path | None, Status], Result]
