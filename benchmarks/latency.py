"""How long after publishing an instrument can be read: `python -m benchmarks.latency --rate 5000 --seconds 60`.

Starts the same stack with the same settings as `benchmarks.stream`, sends records on a fixed schedule, and hears from
Redis when each is readable. Two clocks: from the moment a record was due to be written to Kafka, as the feed writes it;
and from the moment a row was due to be published at the source, with the feed in between. docs/performance.md says how
to read the table.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from array import array
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, get_args

from benchmarks.command import add_output, report_console, run, whole_number, write_json
from benchmarks.drain import benchmark_store, parts, submission
from benchmarks.latency_report import LISTENER, PUBLISHER, LatencyReport, Measured, as_json, show
from benchmarks.listener import Listener, cost
from benchmarks.machine import look_at_machine
from benchmarks.percentiles import percentiles
from benchmarks.publisher import Clock, publisher
from benchmarks.schedule import Schedule
from benchmarks.source_stack import source_stack
from benchmarks.span import Moment, Span, between, moment
from benchmarks.stack import benchmark_stack
from instrument_cache.change import version_of
from instrument_cache.contract import load_contract
from instrument_cache.errors import Unavailable
from instrument_cache.store.redis import RedisStore
from local_stack.instance import DATASET, PROJECT, Instance
from local_stack.synthetic import synthetic_cusip

CLOCKS: Final[tuple[Clock, ...]] = get_args(Clock)
# Each instrument comes again after so long: what takes longer cannot be told.
_ROUND_S: Final = 10
_UNSEEN: Final = -1
_LEAD_US: Final = 500_000
_START_TIMEOUT_S: Final = 240.0
_WAIT_S: Final = 0.1


@dataclass(frozen=True)
class Load:
    """What is sent: a rate, and for how long after a warm-up that is in no figure."""

    rate_per_s: int
    seconds: int
    warm_up_s: int

    @property
    def warm_up_count(self) -> int:
        return self.rate_per_s * self.warm_up_s

    def schedule(self) -> Schedule:
        """Not yet started."""
        count = self.rate_per_s * (self.warm_up_s + self.seconds)
        return Schedule(0, self.rate_per_s, count, min(count, self.rate_per_s * _ROUND_S))


def main() -> int:
    """0 if every record became readable, 1 if not."""
    options = _options()
    load = Load(options.rate, options.seconds, options.warm_up)
    report = run(lambda status: measure(load, options.clock or list(CLOCKS), options.parallelism, options.logs, status))
    if report is None:
        return 1
    show(report, report_console())
    write_json(options.json, as_json(report))
    return 0 if report.is_whole else 1


def measure(
    load: Load, clocks: list[Clock], parallelism: int, logs: Path | None, status: Callable[[str], None]
) -> LatencyReport:
    """Each clock in turn, on one running job. Raises InstrumentCacheError if it cannot be run to its end."""
    machine = look_at_machine()
    with benchmark_stack(parallelism, logs, status) as instance:
        status("measuring what listening costs")
        listening = cost(instance.redis_url)
        status("submitting the job")
        with submission(instance) as launcher:
            if launcher.wait(_START_TIMEOUT_S):
                raise Unavailable("the job could not be submitted; --logs FOLDER keeps the reason")
            # The source first: a feed that began on a full log would have to read it.
            found = [_clock(instance, clock, load, status) for clock in sorted(clocks, reverse=True)]
    return LatencyReport(machine, parallelism, load.rate_per_s, load.seconds, load.warm_up_s, listening, found)


def _clock(instance: Instance, clock: Clock, load: Load, status: Callable[[str], None]) -> Measured:
    with ExitStack() as stack:
        source = stack.enter_context(source_stack(instance, status)) if clock == "source" else None
        status(f"{clock}: preparing the publisher")
        schedule = load.schedule()
        sender = stack.enter_context(publisher(source or instance, clock, schedule))
        listener = stack.enter_context(Listener(instance.redis_url, key_prefix()))
        roots = {**parts(instance), **(parts(source) if source else {}), sender.pid: PUBLISHER, os.getpid(): LISTENER}
        schedule = replace(schedule, start_us=time.time_ns() // 1000 + _LEAD_US)
        sender.begin(schedule.start_us)
        status(f"{clock}: {load.warm_up_s} s of warm-up, then {load.seconds} s")
        watch = Watch(schedule, load.warm_up_count, lambda seen: moment(roots, seen))
        watch.follow(listener)
        lateness_ms = sender.lateness_ms(_ROUND_S)
    latencies_ms = [us / 1000 for us in watch.latencies_us if us != _UNSEEN]
    unseen = len(watch.latencies_us) - len(latencies_ms)
    wrong = wrong_keys(benchmark_store(instance), schedule)
    return Measured(clock, percentiles(latencies_ms), len(latencies_ms), unseen, wrong, lateness_ms, watch.span())


class Watch:
    """Listens until every record was heard of, or no more can come. `moment` reads clocks and CPU.

    `latencies_us` is that of every record after the warm-up, in their order; -1: never heard of.
    """

    def __init__(self, schedule: Schedule, warm_up_count: int, moment: Callable[[int], Moment]) -> None:
        self._schedule, self._warm_up_count, self._moment = schedule, warm_up_count, moment
        prefix = key_prefix()
        self._numbers = {f"{prefix}:{synthetic_cusip(at)}": at for at in range(schedule.keys)}
        self._found = array("q", [_UNSEEN]) * schedule.count
        self._left = schedule.count
        self._moments: list[Moment] = []

    @property
    def latencies_us(self) -> array[int]:
        return self._found[self._warm_up_count :]

    def span(self) -> Span:
        """From the end of the warm-up to the last record."""
        return between(self._moments[0], self._moments[-1])

    def follow(self, listener: Listener) -> None:
        begin_us = self._schedule.due_us(self._warm_up_count)
        end_us = self._schedule.due_us(self._schedule.count - 1) + _ROUND_S * 1_000_000
        while self._left and (now_us := time.time_ns() // 1000) < end_us:
            if not self._moments and now_us >= begin_us:
                self._moments.append(self._moment(0))
            self.take(*listener.wait(_WAIT_S))
        self._moments.append(self._moment(len(self._found) - self._warm_up_count))

    def take(self, now_us: int, keys: list[str]) -> None:
        """These keys were written at that time."""
        for key in keys:
            number = self._numbers.get(key)
            at = None if number is None else self._schedule.newest_about(number, now_us)
            if at is not None and self._found[at] == _UNSEEN:
                self._found[at] = now_us - self._schedule.due_us(at)
                self._left -= 1


def wrong_keys(store: RedisStore, schedule: Schedule) -> int:
    """How many instruments do not hold the version of the last record about them."""
    prefix, newest = key_prefix(), range(schedule.count - schedule.keys, schedule.count)
    last = {f"{prefix}:{synthetic_cusip(at % schedule.keys)}": schedule.due_us(at) for at in newest}
    held = dict(store.scan(prefix))
    return sum(key not in held or version_of(held[key]) != version for key, version in last.items())


def key_prefix() -> str:
    """The first part of an instrument's key in Redis, as the contract says."""
    return load_contract(PROJECT / "contracts" / f"{DATASET}.yaml").key_prefix


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--rate", type=whole_number(10, 100_000), default=5_000, help="records per second")
    parser.add_argument("--seconds", type=whole_number(1, 3_600), default=60, help="that are measured")
    parser.add_argument("--warm-up", type=whole_number(1, 600), default=15, help="seconds before, in no figure")
    parser.add_argument("--parallelism", type=whole_number(1, 8), default=2, help="of the job")
    clock = "where a record begins; given twice or not at all: both"
    parser.add_argument("--clock", choices=CLOCKS, action="append", help=clock)
    add_output(parser)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
