"""What the report says: rates, CPU per record, whether the machine was idle and the outcome right."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from benchmarks.cpu import PYTHON_WORKERS
from benchmarks.drain import Drain
from benchmarks.machine import Machine, cpu_model
from benchmarks.report import Report, Run, as_json, outcomes_add_up, show
from benchmarks.span import Moment, Span, between
from benchmarks.workload import Check

OUTCOMES = {"applied": 900, "duplicate": 40, "stale": 30, "superseded": 20, "rejected": 10, "ties": 3}
FIRST = Moment(at_s=10.0, counted=100, cpu_s={"redis": 1.0}, machine_s=50.0)
LAST = Moment(at_s=12.0, counted=1000, cpu_s={"redis": 1.9, PYTHON_WORKERS: 1.8}, machine_s=53.0)
IDLE = Machine(cpu="X", cores=2, memory_gb=8, kernel="6", load_1_min=0.1, busy_cores=0.02)


@pytest.fixture
def run() -> Run:
    return drained(between(FIRST, replace(LAST, machine_s=52.7)))


def drained(whole: Span) -> Run:
    return Run(Drain(whole, replace(whole, seconds=0.5), OUTCOMES), Check(900, 0, 0, 0), outcomes_add_up=True)


def report(machine: Machine, *runs: Run) -> Report:
    return Report(machine, rows=1000, pme_percent=0, parallelism=2, record_bytes_mean=780.04, runs=list(runs))


def test_what_was_counted_before_the_clock_started_is_in_no_figure() -> None:
    span = between(FIRST, LAST)
    assert (span.seconds, span.records, span.records_per_s) == (2.0, 900, 450.0)
    assert span.cpu_us_per_record() == {"redis": pytest.approx(1000.0), PYTHON_WORKERS: pytest.approx(2000.0)}
    assert span.others_cores == pytest.approx((3.0 - 2.7) / 2)


def test_outcomes_must_add_up_to_the_records_and_the_rejects() -> None:
    assert outcomes_add_up(OUTCOMES, rows=1000, rejected=10)
    assert not outcomes_add_up(OUTCOMES, rows=1001, rejected=10)
    assert not outcomes_add_up(OUTCOMES, rows=1000, rejected=9)


def test_json_holds_every_run_and_the_median(run: Run) -> None:
    fast = drained(replace(run.drain.whole, seconds=1.0))
    told = json.loads(json.dumps(as_json(report(IDLE, run, fast, fast))))
    assert (told["records_per_s_median"], told["exact"], told["machine"]["was_idle"]) == (900, True, True)
    assert [entry["records_per_s"] for entry in told["runs"]] == [450, 900, 900]
    assert told["runs"][0]["cpu_us_per_record"]["redis"] == 1000.0
    assert told["runs"][0]["second_half"]["records_per_s"] == 1800
    assert told["runs"][0]["outcomes"] == OUTCOMES


def test_a_busy_machine_is_told_before_and_during(run: Run) -> None:
    assert report(IDLE, run).was_idle
    assert not report(replace(IDLE, busy_cores=0.5), run).was_idle
    assert not report(IDLE, drained(replace(run.drain.whole, others_cores=0.5))).was_idle


@pytest.mark.parametrize(
    "wrong", [{"check": Check(899, 1, 0, 0)}, {"check": Check(900, 0, 0, 1)}, {"outcomes_add_up": False}]
)
def test_one_wrong_key_or_count_makes_the_whole_wrong(run: Run, wrong: dict[str, object]) -> None:
    bad = report(IDLE, run, replace(run, **wrong))  # type: ignore[arg-type]
    assert not bad.is_exact
    assert "WRONG" in shown(bad)
    assert "WRONG" not in shown(report(IDLE, run))


def test_the_table_names_every_part_and_outcome(run: Run) -> None:
    text = shown(report(replace(IDLE, busy_cores=1.5), run))
    for name in ("records/s", "redis", PYTHON_WORKERS, "flink-taskmanager", "superseded", "keys missing", "WARNING"):
        assert name in text


def shown(what: Report) -> str:
    output = io.StringIO()
    show(what, Console(file=output, width=120))
    return output.getvalue()


def test_a_processor_without_a_model_name_is_told_by_its_architecture() -> None:
    assert cpu_model("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n") == "Some CPU @ 2 GHz"
    assert cpu_model("processor\t: 0\n")
