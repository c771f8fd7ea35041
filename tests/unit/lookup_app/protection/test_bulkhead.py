"""Batches are bounded in number; who cannot be let in hears so soon."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from lookup_app.problems import Problem, ProblemType
from lookup_app.protection.bulkhead import WAITING_MAX, Bulkhead
from lookup_app.protection.settings import BulkheadSettings


def test_lets_in_as_many_as_set() -> None:
    bulkhead = Bulkhead(BulkheadSettings(batches_max=2, wait_s=0))
    with bulkhead, bulkhead:
        with pytest.raises(Problem) as raised, bulkhead:
            pass
        assert raised.value.kind is ProblemType.BUSY
        assert raised.value.headers["Retry-After"] == "1"
    with bulkhead, bulkhead:
        pass


def test_an_error_inside_frees_the_place() -> None:
    bulkhead = Bulkhead(BulkheadSettings(batches_max=1, wait_s=0))
    for _ in range(3):
        with pytest.raises(ValueError, match="x"), bulkhead:
            raise ValueError("x")


def test_waits_shortly_for_a_place() -> None:
    bulkhead = Bulkhead(BulkheadSettings(batches_max=1, wait_s=30))
    bulkhead.enter()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(bulkhead.enter)
        deadline_s = time.monotonic() + 10
        while bulkhead._waiting < WAITING_MAX and time.monotonic() < deadline_s:
            time.sleep(0.001)
        started_s = time.monotonic()
        with pytest.raises(Problem):
            bulkhead.enter()
        assert time.monotonic() - started_s < 5, "one waits already, so that the next is told at once"
        bulkhead.leave()
        waiting.result(timeout=10)
    bulkhead.leave()


def test_never_more_than_set() -> None:
    bulkhead, inside, most, release = Bulkhead(BulkheadSettings(3, 0.02)), [0], [0], Event()

    def batch(_: int) -> bool:
        try:
            with bulkhead:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                release.wait(0.01)
                inside[0] -= 1
        except Problem:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        done = sum(pool.map(batch, range(60)))
    assert most[0] <= 3
    assert done >= 3
    assert (bulkhead._running, bulkhead._waiting) == (0, 0)
