"""The ratio of ours to theirs, the small inputs, and what the tables say."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from benchmarks.connect.sinks import Sink
from benchmarks.peer import OWN_IDLE, PeerReport, PeerRun, PeersReport
from benchmarks.peer_check import PeerCheck
from benchmarks.peer_report import Ratio, as_json, outcome, ratio, show
from benchmarks.peer_scenarios import KEYS, ScenarioResult, scenarios
from benchmarks.span import Span
from instrument_cache.contract import Contract
from instrument_cache.records import parse_record

OURS = Span(2.0, 1000, {"redis": 0.002, "kafka": 0.002}, 0.0)
THEIRS = Span(1.0, 1000, {"redis": 0.001, "connect": 0.001, OWN_IDLE: 9.0}, 0.0)
STOOD = PeerRun("stalled", "the task says RUNNING", (), PeerCheck(missing=9))
WRONG = ScenarioResult("an older version after the newer", 500, 500, "RUNNING", True)
RIGHT = ScenarioResult("an older version after the newer", 0, 500, "RUNNING", True)


def peers(*runs: PeerRun) -> PeersReport:
    sink = Sink("org.example.OtherSinkConnector", {"redis.password": "${redis.password}"})
    return PeersReport([OURS], [RIGHT], [PeerReport(sink, list(runs), [WRONG])])


def test_the_ratio_is_ours_by_theirs_without_what_stood_by() -> None:
    done = PeerRun("RUNNING", "", (THEIRS, THEIRS), PeerCheck(right=9))
    assert ratio([OURS], [done, STOOD]) == Ratio(pytest.approx(0.5), pytest.approx(2.0))
    assert ratio([OURS], [STOOD]) is None


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (RIGHT, "0 of 500"),
        (WRONG, "500 of 500, and says nothing of it"),
        (ScenarioResult("x", 3, 500, "FAILED", False), "3 of 500, FAILED"),
        (ScenarioResult("x", 0, 500, "stalled", False), "0 of 500, stalled"),
    ],
)
def test_an_outcome_tells_what_the_sink_says_of_it(result: ScenarioResult, text: str) -> None:
    assert outcome(result) == text


def test_tables_and_json_hold_a_sink_that_stood_still() -> None:
    report = peers(PeerRun("RUNNING", "", (THEIRS, THEIRS), PeerCheck(right=9)), STOOD)
    output = io.StringIO()
    show(report, Console(file=output, width=160))
    for text in ("org.example.OtherSinkConnector", "1,000", "0.50", "stalled", "keys missing", "says nothing of it"):
        assert text in output.getvalue()
    told = json.loads(json.dumps(as_json(report)))["sinks"][0]
    assert told["ratio_ours_to_theirs"] == {"records_per_s": 0.5, "cpu": 2.0}
    assert [run["state"] for run in told["runs"]] == ["RUNNING", "stalled"]
    assert told["properties"] == {"redis.password": "${redis.password}"}


def test_every_scenario_says_what_a_reader_must_get(contract: Contract) -> None:
    made = {scenario.name: scenario for scenario in scenarios(contract)}
    assert len(made) == 7
    keys = [key for scenario in made.values() for key in scenario.expected]
    assert len(keys) == len(set(keys)), "each scenario has instruments of its own"
    for scenario in made.values():
        newest: dict[str, int | None] = {}
        for key, value, _ in scenario.records:
            name = (key or b"").decode()
            if value is None:
                newest[name] = None
            elif value.endswith(b"}}"):
                newest[name] = max(newest.get(name) or 0, parse_record(value)[1])
            else:
                newest[name] = None
        assert {key: newest[key] for key in scenario.expected} == scenario.expected
    assert sum(record.key is None for record in made["a record without a key"].records) == 1
    assert len(made["a record that is cut off"].expected) == KEYS
