"""The schedule, the percentiles, what is heard from Redis, and the book of what was heard."""

from __future__ import annotations

import io
import json
import random

import pytest
from rich.console import Console

from benchmarks.latency import Load, Watch
from benchmarks.latency_report import LatencyReport, Measured, as_json, show
from benchmarks.listener import Cost, Heard
from benchmarks.machine import Machine
from benchmarks.percentiles import percentiles
from benchmarks.publisher import publish
from benchmarks.schedule import Schedule
from benchmarks.span import Moment, Span
from local_stack.synthetic import synthetic_cusip

T = 1_763_674_000_000_000


def test_percentiles_are_values_that_occurred() -> None:
    values = list(range(1, 1001))
    random.Random(1).shuffle(values)
    assert percentiles(values) == {"p50": 500, "p90": 900, "p99": 990, "p99.9": 999, "max": 1000}
    assert percentiles([7.0]) == dict.fromkeys(("p50", "p90", "p99", "p99.9", "max"), 7.0)
    assert percentiles([]) == {}


@pytest.mark.parametrize("rate", [10, 333, 1_000, 1_500, 5_000, 99_999])
def test_what_is_due_by_a_time_is_what_is_due_at_it_or_before(rate: int) -> None:
    schedule = Schedule(T, rate, count=400, keys=50)
    due = [schedule.due_us(at) for at in range(schedule.count)]
    assert due == sorted(due)
    assert all((at - T) % 1000 == 0 for at in due)
    for now in (*(T + step * 137 for step in range(-3, 300)), *due, due[-1] + 10**7):
        assert schedule.due_by(now) == sum(at <= now for at in due), now


def test_the_newest_record_about_an_instrument() -> None:
    schedule = Schedule(T, 1_000, count=25, keys=10)
    assert schedule.newest_about(3, T + 2_999) is None
    assert schedule.newest_about(3, T + 3_000) == 3
    assert schedule.newest_about(3, T + 12_999) == 3
    assert schedule.newest_about(3, T + 13_000) == 13
    assert schedule.newest_about(9, T + 10**9) == 19


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_keys_are_heard_in_pieces_of_any_size_and_others_are_not(size: int) -> None:
    keys = [f"instr:{synthetic_cusip(at)}" for at in range(30)]
    elements = "".join(f"${len(key)}\r\n{key}\r\n" for key in [*keys, "pme:PME1"])
    message = f">2\r\n$10\r\ninvalidate\r\n*31\r\n{elements}".encode() * 3
    heard = Heard("instr")
    found = [key for at in range(0, len(message), size) for key in heard.feed(message[at : at + size])]
    assert found == keys * 3


def test_the_watch_takes_each_record_once_and_leaves_the_warm_up_out() -> None:
    load = Load(rate_per_s=1_000, seconds=1, warm_up_s=1)
    schedule = Schedule(T, 1_000, load.schedule().count, keys=1_000)
    watch = Watch(schedule, load.warm_up_count, lambda seen: Moment(0.0, seen, {}, 0.0))
    first = f"instr:{synthetic_cusip(0)}"
    watch.take(T + 5_000, [first, "instr:unknown"])
    watch.take(T + 1_000_000 + 7_000, [first])
    watch.take(T + 1_000_000 + 9_000, [first])
    assert len(watch.latencies_us) == 1_000
    assert [us for us in watch.latencies_us if us != -1] == [7_000]


def test_a_publisher_sends_every_record_once_in_order_however_late() -> None:
    schedule = Schedule(T, 50_000, count=500, keys=50)
    sent: list[int] = []
    late_ms = list(publish(schedule, lambda _, numbers: sent.extend(numbers)))
    assert sent == list(range(500))
    assert len(late_ms) == 500
    assert min(late_ms) > 0


def test_table_and_json_tell_a_record_that_was_never_readable() -> None:
    machine = Machine(cpu="X", cores=2, memory_gb=8, kernel="6", load_1_min=0.1, busy_cores=0.02)
    found = percentiles([1.0, 2.0, 30.0])
    span = Span(2.0, 3, {"redis": 1.0}, 0.0)
    clocks = [Measured("source", {}, 0, 1, 0, {}, span), Measured("kafka", found, 3, 0, 0, found, span)]
    report = LatencyReport(machine, 2, 5_000, 60, 15, Cost(0.8, found), clocks)
    output = io.StringIO()
    show(report, Console(file=output, width=160))
    for text in ("written to Kafka", "p99.9", "30.0", "never readable", "0.50", "in no figure", "WRONG"):
        assert text in output.getvalue()
    told = json.loads(json.dumps(as_json(report)))
    assert told["clocks"]["kafka"]["latency_ms"]["p50"] == 2.0
    assert (told["clocks"]["source"]["unseen"], told["whole"]) == (1, False)
