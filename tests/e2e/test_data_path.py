"""Source → Kafka → Flink → Redis → REST: every row arrives or is rejected with its reason, in time and in order."""

from __future__ import annotations

import json
import statistics
import time

from instrument_cache.change import stored_value
from instrument_cache.dead_letters.reader import read_letters
from local_stack.instance import DATASET
from tests.e2e.conftest import INVALID, VALID, V
from tests.servers import wait_until
from tests.stack import PROJECT_ROW, Stack


def test_every_valid_row_is_readable_and_is_the_contracts_projection(stack: Stack) -> None:
    rows = {json.loads(row)["cusip"]: row for row in VALID}
    for cusip, row in rows.items():
        answer = stack.get(f"/v1/instruments/{cusip}")
        assert answer.status_code == 200, cusip
        version = answer.json()["v"]
        assert answer.content == stored_value(version, PROJECT_ROW(row, version))
        kept = {name: value for name, value in json.loads(row).items() if name in answer.json()}
        assert {name: answer.json()[name] for name in kept} == kept
    assert stack.get("/v1/instruments/037833100").json()["v"] == V
    assert stack.get("/v1/instruments?pme=PME-APPLE").json()["cusip"] == "037833100"


def test_every_invalid_row_is_a_dead_letter_and_the_counts_add_up(stack: Stack) -> None:
    wait_until(lambda: len(_letters(stack)) == len(INVALID), what="every dead letter")
    letters = _letters(stack)
    for row, code in INVALID.items():
        found = [reason for value, reason in letters.items() if row in value]
        assert len(found) == 1, row[:80]
        assert found[0].startswith(code)
    assert len(letters) + len(VALID) == len(INVALID) + len(stack.cached())
    stack.assert_equal_to_source()


def _letters(stack: Stack) -> dict[bytes, str]:
    return {letter.value: letter.reason for letter in read_letters(stack.instance.kafka, DATASET)}


def test_an_update_is_readable_within_a_second_at_the_median(stack: Stack) -> None:
    source, waits_s = stack.source, []
    for number in range(21):
        name = f"update {number}"
        started = time.monotonic()
        source.publish([json.dumps({"cusip": "023135106", "name": name}).encode()])
        wait_until(lambda name=name: stack.get("/v1/instruments/023135106").json()["name"] == name, 15)
        waits_s.append(time.monotonic() - started)
    assert statistics.median(waits_s) < 1.0, waits_s


def test_a_delete_answers_404_within_a_second_and_an_old_put_does_not_bring_it_back(stack: Stack) -> None:
    source, waits_s = stack.source, []
    for number in range(5):
        row = json.dumps({"cusip": "594918104", "name": f"life {number}"}).encode()
        source.publish([row])
        wait_until(lambda: stack.get("/v1/instruments/594918104").status_code == 200, 15)
        started = time.monotonic()
        source.delete(["594918104"])
        wait_until(lambda: stack.get("/v1/instruments/594918104").status_code == 404, 15)
        waits_s.append(time.monotonic() - started)
    assert statistics.median(waits_s) < 1.0, waits_s
    source.publish([json.dumps({"cusip": "594918104", "last_updated": V}).encode()])
    stack.settle()
    assert stack.get("/v1/instruments/594918104").status_code == 404


def test_an_older_version_changes_nothing_and_is_counted(stack: Stack) -> None:
    before = stack.status()["counts"]["outcomes"]["stale"]
    content = stack.get("/v1/instruments/037833100").content
    stack.source.publish([json.dumps({"cusip": "037833100", "name": "old", "last_updated": V - 1}).encode()])
    wait_until(lambda: stack.store.counters()["stale"] == before + 1, what="one more stale change")
    assert stack.get("/v1/instruments/037833100").content == content


def test_generate_and_get_work_as_printed(stack: Stack) -> None:
    done = stack.cli("generate", "--rows", "50", "--rate", "100", "--start", "500000", "--seed", "7")
    assert done.returncode == 0, done.stderr
    stack.settle()
    stack.assert_equal_to_source()
    found = stack.cli("get", "PME000500000")
    assert found.returncode == 0
    assert json.loads(found.stdout)["pme"] == "PME000500000"
