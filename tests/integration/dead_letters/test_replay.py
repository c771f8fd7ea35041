"""Replays on real Kafka, Redis and S3; `letters.Job` stands in for the streaming job."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from instrument_cache.clock import SystemClock
from instrument_cache.dead_letters.audit import Result, State
from instrument_cache.dead_letters.budget import Budget
from instrument_cache.dead_letters.letter_filter import LetterFilter
from instrument_cache.dead_letters.patch import RecordPatch
from instrument_cache.dead_letters.replay import ReplayRequest
from instrument_cache.dead_letters.service import DeadLetters, state_of
from instrument_cache.dead_letters.writer import RecordWriter
from instrument_cache.errors import LogUnavailable, ObjectStoreUnavailable, StoreUnavailable
from instrument_cache.settings import Environment
from tests.integration.dead_letters.letters import Job, LetterBox, V
from tests.servers import free_port, wait_until
from tests.unit.dead_letters.letters import APPLE, MICROSOFT, delete, put

REQUEST = ReplayRequest("tester", LetterFilter(), Budget(rate_per_s=1000), wait_s=20)
CUSIPS = ["000000000", "000000018", "000000026", "000000034", "000000042"]


def replay(dead_letters: DeadLetters, request: ReplayRequest = REQUEST, **hooks: Any) -> Result:
    return dead_letters.replay(request, dead_letters.plan(request)).run(**hooks)


def outcomes(result: Result) -> dict[str, str]:
    return {letter.position: str(letter.outcome) for letter in result.letters}


def states(dead_letters: DeadLetters) -> list[str]:
    marks = dead_letters.marks()
    return [str(state_of(letter, marks)) for letter in dead_letters.letters()]


def held(dead_letters: DeadLetters, cusip: str) -> dict[str, Any] | None:
    (stored,) = dead_letters.store.get_many([dead_letters.contract.redis_key(cusip)])
    return None if stored is None else json.loads(stored)


def test_a_record_that_has_become_valid_is_applied_once(dead_letters: DeadLetters, box: LetterBox) -> None:
    position = box.add(put(APPLE, V, name="Apple"))
    with Job(dead_letters).running():
        result = replay(dead_letters)
        assert (result.status, outcomes(result)) == ("complete", {position: "applied"})
        found = held(dead_letters, APPLE)
        assert found is not None
        assert (found["v"], found["name"]) == (V, "Apple")
        assert states(dead_letters) == [State.REPLAYED]
        assert replay(dead_letters).letters == []
        again = replay(dead_letters, replace(REQUEST, again=True))
        assert outcomes(again) == {position: "duplicate"}
    assert [key for key, _, _ in box.changes()] == [APPLE.encode()]


def test_it_is_written_where_the_feed_writes_this_key(dead_letters: DeadLetters, box: LetterBox) -> None:
    for cusip in CUSIPS:
        box.feed(cusip, put(cusip, V))
        box.add(put(cusip, V + 1), partition=1)
    with Job(dead_letters).running():
        assert set(outcomes(replay(dead_letters)).values()) == {"applied"}
    places: dict[bytes, set[int]] = {}
    for key, _, partition in box.changes():
        places.setdefault(key, set()).add(partition)
    assert [len(partitions) for partitions in places.values()] == [1] * 5


def test_the_audit_says_who_what_when_and_the_outcome_of_each(dead_letters: DeadLetters, box: LetterBox) -> None:
    box.add(put("wrong"), "invalid_cusip")
    box.add(b"{broken", "malformed_json")
    box.put(b"foreign", b"x")
    patch = RecordPatch([{"op": "replace", "path": "/record/cusip", "value": APPLE}])
    with Job(dead_letters).running():
        replay(dead_letters, replace(REQUEST, patch=patch, wanted=LetterFilter(since_us=0)))
    ((intent, result),) = dead_letters.audit.replays()
    assert (intent.who, intent.patch, intent.count_max) == ("tester", patch.operations, 1000)
    assert intent.filter["since"] == "1970-01-01T00:00:00+00:00"
    assert result is not None
    assert (result.status, result.counts) == ("complete", {"applied": 1, "unpatchable": 1, "foreign": 1})
    assert [(letter.code, str(letter.outcome), letter.key) for letter in result.letters] == [
        ("invalid_cusip", "applied", APPLE),
        ("malformed_json", "unpatchable", None),
        ("foreign", "foreign", "foreign"),
    ]
    assert [letter.identity for letter in result.letters[:1]] == intent.identities
    assert (result.letters[0].written_at or "").startswith(f"{dead_letters.dataset}-")
    assert sorted(states(dead_letters)) == ["open", "open", "replayed"]


def test_what_is_not_newer_is_settled_without_being_written(dead_letters: DeadLetters, box: LetterBox) -> None:
    box.feed(APPLE, put(APPLE, V + 1))
    with Job(dead_letters).running():
        wait_until(lambda: held(dead_letters, APPLE))
        stale, duplicate = box.add(put(APPLE, V)), box.add(put(APPLE, V + 1))
        assert outcomes(replay(dead_letters)) == {stale: "stale", duplicate: "duplicate"}
    assert len(box.changes()) == 1
    assert states(dead_letters) == ["replayed", "replayed"]


@pytest.mark.parametrize("newer", [put(APPLE, V + 1, name="newer"), delete(APPLE, V + 1, V + 1)])
def test_a_newer_change_that_comes_in_between_stays_the_last_of_its_key(
    dead_letters: DeadLetters, box: LetterBox, newer: bytes
) -> None:
    position = box.add(put(APPLE, V, name="older"))
    plan = dead_letters.plan(REQUEST)
    box.feed(APPLE, newer)
    with Job(dead_letters).running():
        wait_until(lambda: held(dead_letters, APPLE))
        before = held(dead_letters, APPLE)
        result = dead_letters.replay(REQUEST, plan).run()
        assert outcomes(result) == {position: "stale"}
        assert held(dead_letters, APPLE) == before
    versions = [json.loads(value)["version"] for _, value, _ in box.changes()]
    assert versions == [V + 1, V, V + 1]
    assert json.loads(box.changes()[-1][1])["op"] == json.loads(newer)["op"]


def test_the_budget_ends_a_replay_and_the_next_one_goes_on(dead_letters: DeadLetters, box: LetterBox) -> None:
    for cusip in CUSIPS:
        box.add(put(cusip, V))
    request = replace(REQUEST, budget=Budget(2, 1000))
    with Job(dead_letters).running():
        assert [replay(dead_letters, request).left for _ in range(3)] == [3, 1, 0]
        assert all(held(dead_letters, cusip) for cusip in CUSIPS)
    assert states(dead_letters) == ["replayed"] * 5


def test_the_rate_is_kept(dead_letters: DeadLetters, box: LetterBox) -> None:
    for cusip in CUSIPS:
        box.add(put(cusip, V))
    request = replace(REQUEST, budget=Budget(rate_per_s=10), wait_s=0)
    started = SystemClock().now_us()
    replay(dead_letters, request)
    assert SystemClock().now_us() - started >= 400_000


def test_while_the_job_is_away_the_outcome_is_unknown_and_later_a_duplicate(
    dead_letters: DeadLetters, box: LetterBox
) -> None:
    position = box.add(put(APPLE, V))
    result = replay(dead_letters, replace(REQUEST, wait_s=0.5))
    assert (result.status, outcomes(result)) == ("complete", {position: "unknown"})
    assert states(dead_letters) == ["unfinished"]
    with Job(dead_letters).running():
        wait_until(lambda: held(dead_letters, APPLE))
        assert outcomes(replay(dead_letters)) == {position: "duplicate"}
    assert states(dead_letters) == ["replayed"]
    assert len(box.changes()) == 1


def test_what_the_job_does_not_take_is_seen(dead_letters: DeadLetters, box: LetterBox) -> None:
    position = box.add(put(APPLE, V, name="x" * 500))
    with Job(dead_letters, record_bytes_max=400).running():
        assert outcomes(replay(dead_letters)) == {position: "rejected"}
    assert states(dead_letters) == ["open"]


def after(records: int, error: type[BaseException]) -> Callable[[int, int], None]:
    def progress(written: int, settled: int) -> None:
        if written == records:
            raise error

    return progress


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt, "interrupted"), (StoreUnavailable, "failed"), (ZeroDivisionError, "failed")],
)
def test_interrupted_it_leaves_a_result_and_the_next_one_finishes(
    dead_letters: DeadLetters, box: LetterBox, error: type[BaseException], status: str
) -> None:
    positions = [box.add(put(cusip, V)) for cusip in CUSIPS]
    if error is ZeroDivisionError:
        with pytest.raises(error):
            replay(dead_letters, progress=after(2, error))
    else:
        assert replay(dead_letters, progress=after(2, error)).status == status
    ((_, result),) = dead_letters.audit.replays()
    assert result is not None
    assert (result.status, list(outcomes(result).values())) == (status, ["unknown"] * 2 + ["not_reached"] * 3)
    assert sum(letter.written_at is not None for letter in result.letters) == 2
    assert states(dead_letters) == ["unfinished"] * 2 + ["open"] * 3
    with Job(dead_letters).running():
        wait_until(lambda: held(dead_letters, CUSIPS[1]))
        assert outcomes(replay(dead_letters)) == dict(zip(positions, ["duplicate"] * 2 + ["applied"] * 3, strict=True))
    assert len(box.changes()) == 5


def test_killed_it_leaves_an_intent_and_the_next_one_finishes(
    dead_letters: DeadLetters, box: LetterBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    position = box.add(put(APPLE, V))
    with Job(dead_letters).running():
        with monkeypatch.context() as killed:
            killed.setattr(dead_letters.audit, "write_result", after(0, KeyboardInterrupt))
            run = dead_letters.replay(REQUEST, dead_letters.plan(REQUEST))
            killed.setattr(run, "_finish", lambda *_: (_ for _ in ()).throw(SystemExit))
            with pytest.raises(SystemExit):
                run.run()
        assert [result for _, result in dead_letters.audit.replays()] == [None]
        assert states(dead_letters) == ["unfinished"]
        assert outcomes(replay(dead_letters)) == {position: "duplicate"}
    assert states(dead_letters) == ["replayed"]


def test_a_letter_that_stepped_back_for_one_that_failed_stays_open(dead_letters: DeadLetters, box: LetterBox) -> None:
    older, newer = box.add(put(APPLE, V)), box.add(put(APPLE, V + 1))
    result = replay(dead_letters, replace(REQUEST, wait_s=0))
    assert outcomes(result) == {older: "not_reached", newer: "unknown"}
    assert states(dead_letters) == ["open", "unfinished"]


def test_a_dry_run_writes_nothing(dead_letters: DeadLetters, box: LetterBox) -> None:
    box.add(put(APPLE, V))
    plan = dead_letters.plan(REQUEST)
    assert (plan.counts, plan.left) == ({"applied": 1}, 0)
    assert (box.changes(), dead_letters.audit.replays()) == ([], [])


def test_without_s3_nothing_is_written(dead_letters: DeadLetters, box: LetterBox, env: Environment) -> None:
    box.add(put(APPLE, V))
    plan = dead_letters.plan(REQUEST)
    away = DeadLetters(Environment({**env.variables, "ICACHE_S3_ENDPOINT": f"http://127.0.0.1:{free_port()}"}))
    with pytest.raises(ObjectStoreUnavailable):
        away.replay(REQUEST, plan).run()
    assert box.changes() == []


def test_without_redis_nothing_is_planned(box: LetterBox, env: Environment) -> None:
    box.add(put(APPLE, V))
    away = DeadLetters(Environment({**env.variables, "ICACHE_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}))
    with pytest.raises(StoreUnavailable):
        away.plan(REQUEST)


def test_kafka_away_is_said_for_each_record() -> None:
    writer = RecordWriter(f"127.0.0.1:{free_port()}", "instruments", give_up_s=0.5)
    writer.write("a", APPLE, b"x")
    with pytest.raises(LogUnavailable, match="did not take"):
        writer.flush()
    assert writer.failed.keys() == {"a"}
    with pytest.raises(LogUnavailable):
        writer.write("b", MICROSOFT, b"x")


def test_a_record_that_is_too_large_for_kafka_is_said(box: LetterBox) -> None:
    with pytest.raises(LogUnavailable, match="21000000 bytes"):
        RecordWriter(box.bootstrap, box.dataset).write("a", APPLE, b"x" * 21_000_000)
