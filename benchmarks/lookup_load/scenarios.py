"""What is asked of each server, and how long."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.lookup_load.generator import Generator, Load
from benchmarks.lookup_load.targets import FEAST, OURS, UNCACHED, WEBDIS, Target

# Of all requests, this share asks for the hottest keys, and the rest for any: so a cache that holds the hot ones and
# not much more has about this share of hits.
HOT_SHARE: Final = 0.85
HOT_KEYS: Final = 5_000
BATCH_IDS: Final = 100
_REQUESTS: Final = 50_000
_BATCHES: Final = 500


@dataclass(frozen=True)
class Scenario:
    """One row of the report. `rate` 0: as fast as the answers come. `ids` are asked for in one request."""

    name: str
    targets: tuple[str, ...]
    rate: float = 0.0
    ids: int = 1
    hot_share: float = HOT_SHARE
    connections: int = 64


SCENARIOS: Final = (
    Scenario("single, hot keys", (OURS, WEBDIS, FEAST)),
    Scenario("single, no cache", (UNCACHED, WEBDIS)),
    Scenario("batch of 100, warm", (OURS, WEBDIS), ids=BATCH_IDS, hot_share=1.0, connections=16),
    Scenario("1,000 requests/s", (OURS, WEBDIS), rate=1000.0),
)


@dataclass(frozen=True)
class Result:
    """One server in one scenario: a load for each round, and the share of its reads that its cache answered."""

    scenario: Scenario
    target: str
    loads: tuple[Load, ...]
    hit_share: float | None

    @property
    def per_s(self) -> float:
        """Requests per second, the median of the rounds."""
        return median(load.per_s for load in self.loads)

    @property
    def errors(self) -> int:
        return sum(load.errors for load in self.loads)

    def latency_us(self, name: str) -> float:
        """The median of the rounds: `p50`, `p95`, `p99`, `p999` or `max`."""
        return float(median(getattr(load, f"{name}_us") for load in self.loads))


def run(
    scenario: Scenario,
    servers: Sequence[Target],
    generator: Generator,
    keys: Sequence[str],
    rounds: int,
    seconds: float,
) -> list[Result]:
    """Every server in turn, and all again in each round, so that what the machine does meets all alike."""
    present = [server for server in servers if server.name in scenario.targets]
    requests = {server.name: list(_requests(scenario, server, keys)) for server in present}
    loads: dict[str, list[Load]] = {server.name: [] for server in present}
    before = {server.name: server.reads() for server in present}
    for _ in range(rounds):
        for server in present:
            loads[server.name].append(
                generator.run(
                    server.port,
                    requests[server.name],
                    connections=scenario.connections,
                    rate=scenario.rate,
                    seconds=seconds,
                    warm_up_s=2.0,
                )
            )
    return [
        Result(scenario, server.name, tuple(loads[server.name]), _hit_share(before[server.name], server.reads()))
        for server in present
    ]


def _requests(scenario: Scenario, server: Target, keys: Sequence[str]) -> Iterator[bytes]:
    chance = random.Random(1)
    hot = keys[:HOT_KEYS]
    if scenario.ids == 1:
        for _ in range(_REQUESTS):
            yield server.single(chance.choice(hot if chance.random() < scenario.hot_share else keys))
    else:
        for _ in range(_BATCHES):
            yield server.batch(chance.sample(hot, scenario.ids))


def _hit_share(before: dict[str, float], after: dict[str, float]) -> float | None:
    reads = {outcome: amount - before.get(outcome, 0.0) for outcome, amount in after.items()}
    total = sum(reads.values())
    return reads.get("hit", 0.0) / total if total else None
