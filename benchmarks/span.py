"""Readings at two moments → what happened between them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.cpu import cpu_by_part, difference, machine_busy_s, processes


@dataclass(frozen=True)
class Moment:
    """Readings taken together: clock, records that the store has counted, CPU seconds by part and of the machine."""

    at_s: float
    counted: int
    cpu_s: dict[str, float]
    machine_s: float


@dataclass(frozen=True)
class Span:
    """What happened between two moments. `cpu_s` is by part; `others_cores` ran programs that are not the stack's."""

    seconds: float
    records: int
    cpu_s: dict[str, float]
    others_cores: float

    @property
    def records_per_s(self) -> float:
        return self.records / self.seconds

    def cpu_us_per_record(self) -> dict[str, float]:
        return {part: cpu_s * 1e6 / self.records for part, cpu_s in self.cpu_s.items()}


def moment(roots: Mapping[int, str], counted: int) -> Moment:
    """Now. `roots` is {process id: part}."""
    return Moment(time.monotonic(), counted, cpu_by_part(processes(), roots), machine_busy_s())


def between(first: Moment, last: Moment) -> Span:
    """Records that were counted before the first moment are in no figure."""
    seconds = last.at_s - first.at_s
    cpu_s = difference(first.cpu_s, last.cpu_s)
    others_s = last.machine_s - first.machine_s - sum(cpu_s.values())
    return Span(seconds, last.counted - first.counted, cpu_s, max(0.0, others_s / seconds))
