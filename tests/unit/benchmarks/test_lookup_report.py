"""The lookup benchmark's report: ratios to the peers of the same scenario, errors, and what goes into the file."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from benchmarks.lookup import LookupReport, as_json, show
from benchmarks.lookup_load.generator import Load
from benchmarks.lookup_load.scenarios import SCENARIOS, Result
from benchmarks.lookup_load.targets import FEAST, OURS, WEBDIS
from benchmarks.machine import Machine

SINGLE, _, BATCH, _ = SCENARIOS


def load(per_s: float, broken: int = 0) -> Load:
    latencies = {f"{name}_us": at for at, name in enumerate(("p50", "p90", "p95", "p99", "p999", "max"), 1)}
    return Load(answers=100, not_2xx=0, broken=broken, seconds=1, per_s=per_s, answer_bytes=1, **latencies)


def result(target: str, *per_s: float, scenario=SINGLE, broken: int = 0) -> Result:  # type: ignore[no-untyped-def]
    loads = tuple(load(each, broken) for each in per_s)
    return Result(scenario, target, loads, 0.85 if target == OURS else None)


@pytest.fixture
def report() -> LookupReport:
    machine = Machine("a processor", 2, 24, "6", 0.0, busy_cores=1.0)
    results = (
        result(OURS, 300, 100, 200),
        result(WEBDIS, 100),
        result(FEAST, 10),
        result(OURS, 50, scenario=BATCH, broken=1),
        result(WEBDIS, 20, scenario=BATCH),
    )
    return LookupReport(machine, 10_000, results)


def test_a_ratio_is_of_medians_within_one_scenario(report: LookupReport) -> None:
    found = as_json(report)["results"]
    assert found[0]["ratios"] == {WEBDIS: 2.0, FEAST: 20.0}
    assert found[3]["ratios"] == {WEBDIS: 2.5}
    assert (found[3]["ids_per_s"], found[3]["errors"], found[0]["hit_share"]) == (5000.0, 1, 0.85)


def test_the_table_shows_servers_ratios_and_a_busy_machine(report: LookupReport) -> None:
    text = io.StringIO()
    show(report, Console(file=text, width=160))
    for part in (OURS, WEBDIS, FEAST, "2.00 x", "20.00 x", "85%", "WARNING"):
        assert part in text.getvalue()
