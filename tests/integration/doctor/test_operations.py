"""What operations tell of themselves in a real Redis, and what the doctor makes of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from instrument_cache import under_way as module
from instrument_cache.connections import redis_client
from instrument_cache.doctor import Finding
from instrument_cache.doctor.operations_part import look_at_operations
from instrument_cache.settings import Environment
from instrument_cache.under_way import read_under_way, under_way
from tests.servers import free_port, wait_until

DATASET = "instruments"
KILLED = """
import os, sys
from instrument_cache.connections import redis_client
from instrument_cache.under_way import under_way
with under_way(redis_client(sys.argv[1], name="test"), "instruments", "backup", "export", "run 1"):
    os.kill(os.getpid(), 9)
"""


# Works until its parent has ended.
ORPHANED = """
import os, sys, time
from instrument_cache.connections import redis_client
from instrument_cache.under_way import under_way
parent = os.getppid()
with under_way(redis_client(sys.argv[1], name="test"), "instruments", "reconcile", "compare", "run 1"):
    while os.getppid() == parent:
        time.sleep(0.05)
"""


@pytest.fixture
def look(clean_redis: redis.Redis, redis_url: str) -> Callable[[], list[Finding]]:
    return lambda: list(look_at_operations(Environment({"ICACHE_REDIS_URL": redis_url})))


@pytest.fixture
def killed(clean_redis: redis.Redis, redis_url: str) -> None:
    """A process that is killed during its export."""
    subprocess.run([sys.executable, "-c", KILLED, redis_url], check=False, timeout=60)


def only(found: list[Finding], severity: str = "warn") -> Finding:
    (finding,) = found
    assert (finding.part, finding.severity) == ("operations", severity)
    return finding


def test_what_ends_well_leaves_nothing(clean_redis: redis.Redis, look: Callable[[], list[Finding]]) -> None:
    with under_way(clean_redis, DATASET, "reconcile", "compare", "run 1"):
        assert "under way: reconcile (compare)" in only(look(), "ok").sentence
    assert clean_redis.keys() == []
    assert "under way: none" in only(look(), "ok").sentence


def test_a_killed_process_is_missed_once_its_beat_ends(
    clean_redis: redis.Redis, killed: None, look: Callable[[], list[Finding]]
) -> None:
    assert only(look(), "ok").sentence.endswith("backup (export)")
    clean_redis.pexpire("under-way:instruments:backup", 1)
    wait_until(lambda: look()[0].severity == "warn", 20, what="a beat that ended")
    found = only(look())
    assert "backup of run 'run 1' broke off in export, its process ended without a word" in found.sentence
    assert (found.runbook, "icache backup run" in found.mend) == ("cache_backup", True)


def test_a_killed_try_is_told_by_the_next_one(
    clean_redis: redis.Redis, killed: None, look: Callable[[], list[Finding]]
) -> None:
    with under_way(clean_redis, DATASET, "backup", "export", "run 1"):
        assert "another try began 0 s ago; it has not ended well since" in only(look()).sentence
    assert "it has gone on since" in only(look()).sentence


def test_a_failure_is_told_until_its_step_ends_well(
    clean_redis: redis.Redis, look: Callable[[], list[Finding]]
) -> None:
    with (
        pytest.raises(ValueError, match="too"),
        under_way(clean_redis, DATASET, "restore", "catch_up", "run 1"),
    ):
        raise ValueError("too\nmuch")
    for step in ("plan", "catch_up"):
        assert "failed in catch_up" in (sentence := only(look()).sentence)
        assert sentence.endswith("it has not ended well since: ValueError: too much")
        with under_way(clean_redis, DATASET, "restore", step, "run 2"):
            pass
    assert "it has gone on since" in only(look()).sentence


def test_a_question_waits_for_a_person_until_the_run_goes_on(
    clean_redis: redis.Redis, look: Callable[[], list[Finding]]
) -> None:
    with under_way(clean_redis, DATASET, "reconcile", "compare", "run 1") as step:
        step.asks("1500 differences are more than 1000")
    assert "waits for a person" in (sentence := only(look()).sentence)
    assert sentence.endswith("1500 differences are more than 1000")
    with under_way(clean_redis, DATASET, "reconcile", "repair", "run 1"):
        pass
    assert "asked a person" in only(look()).sentence


def test_a_step_that_ends_without_who_started_it(redis_url: str, look: Callable[[], list[Finding]]) -> None:
    command = ["sh", "-c", '"$0" -c "$1" "$2"; :', sys.executable, ORPHANED, redis_url]
    with subprocess.Popen(command, start_new_session=True) as parent:
        wait_until(lambda: "under way: reconcile (compare)" in look()[0].sentence, 20, what="its work")
        parent.kill()
    wait_until(lambda: look()[0].severity == "warn", 20, what="its end")
    assert "ended compare well" in (sentence := only(look()).sentence)
    assert sentence.endswith("but who had started it was gone by then")


def test_another_run_at_work_keeps_its_record(clean_redis: redis.Redis) -> None:
    with under_way(clean_redis, DATASET, "backup", "export", "run 1"):
        with pytest.raises(KeyError), under_way(clean_redis, DATASET, "backup", "export", "run 2"):
            raise KeyError
        (told,) = read_under_way(clean_redis, DATASET).values()
        assert (told.record.run_id, told.record.troubles, told.is_heard) == ("run 1", {}, True)
    assert clean_redis.keys() == []


@pytest.mark.parametrize(("seconds", "says"), [(300.0, "300 s ahead of Redis's"), (-300.0, "300 s behind Redis's")])
def test_a_clock_that_is_off(
    clean_redis: redis.Redis, look: Callable[[], list[Finding]], monkeypatch: Any, seconds: float, says: str
) -> None:
    right = time.time
    monkeypatch.setattr(module.time, "time", lambda: right() + seconds)
    with under_way(clean_redis, DATASET, "backup", "export", "run 1"):
        pass
    assert says in only(look()).sentence


def test_a_process_that_works_is_heard_of_again_and_again(clean_redis: redis.Redis, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.05)
    with under_way(clean_redis, DATASET, "backup", "export", "run 1"):
        clean_redis.delete("under-way:instruments:backup")
        wait_until(lambda: clean_redis.exists("under-way:instruments:backup"), 20, what="the next beat")


def test_nothing_fails_because_redis_is_away() -> None:
    away = redis_client(f"redis://127.0.0.1:{free_port()}", name="test")
    with under_way(away, DATASET, "backup", "export", "run 1") as step:
        step.asks("whatever")
    with pytest.raises(KeyError), under_way(away, DATASET, "backup", "export", "run 1"):
        raise KeyError


def test_nothing_fails_because_redis_forgot_or_holds_something_else(clean_redis: redis.Redis) -> None:
    clean_redis.hset("under-way:instruments", "backup", "of another version")
    with under_way(clean_redis, DATASET, "backup", "export", "run 1"):
        clean_redis.flushall()
    assert read_under_way(clean_redis, DATASET) == {}
