"""One process's numbers at one moment, and the sum of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

# Upper bounds of the latency histogram, in seconds; a request that the near cache answers takes tens of microseconds.
BUCKETS_S: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0)

RequestKey = tuple[str, str, str, int]
ReadKey = tuple[str, str]


class Snapshot(msgspec.Struct, array_like=True):
    """`requests`: (dataset, route, outcome, status) → [sum of seconds, count per bucket …, count above all].

    `reads`: (dataset, outcome) → keys. `gauges`: name → value. Lists of pairs, as JSON has only texts as keys.
    """

    pid: int
    requests: list[tuple[RequestKey, list[float]]]
    reads: list[tuple[ReadKey, int]]
    gauges: dict[str, float]


def merged(snapshots: Iterable[Snapshot], combine: Callable[[str, Sequence[float]], float]) -> Snapshot:
    """Counters added up; gauges as `combine` (name, values) does it."""
    requests: dict[RequestKey, list[float]] = {}
    reads: dict[ReadKey, int] = {}
    gauges: dict[str, list[float]] = {}
    for snapshot in snapshots:
        for key, cells in snapshot.requests:
            held = requests.get(key)
            requests[key] = cells if held is None else [a + b for a, b in zip(held, cells, strict=True)]
        for read, count in snapshot.reads:
            reads[read] = reads.get(read, 0) + count
        for name, value in snapshot.gauges.items():
            gauges.setdefault(name, []).append(value)
    shown = {name: combine(name, values) for name, values in gauges.items()}
    return Snapshot(0, [*requests.items()], [*reads.items()], shown)
