from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest

from instrument_cache.change import version_of
from instrument_cache.drills.load import Answers, Reader, Writer, Written
from instrument_cache.drills.synthetic import drill_keys, drill_values
from instrument_cache.errors import DrillFailed, StoreUnavailable
from instrument_cache.identifiers import check_cusip
from instrument_cache.store.memory import MemoryStore
from tests.stack import CONTRACT


class Refusing(MemoryStore):
    """Refuses some offers, as Redis does while it fails over."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    def offer(self, values: Mapping[str, bytes], expires_at_ms: Mapping[str, int] | None = None) -> str:
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailable("not enough good replicas")
        return super().offer(values, expires_at_ms)


class Fixed:
    """Answers always the same."""

    def __init__(self, status: int, stale: bool) -> None:
        self._answer = (status, b"", stale)

    def get(self, path: str) -> tuple[int, bytes, bool]:
        return self._answer


def worked(worker: Writer | Reader, seconds: float = 0.15) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    time.sleep(seconds)
    stop.set()
    thread.join()


def test_drill_instruments_are_valid_and_differ() -> None:
    keys = drill_keys(500, CONTRACT)
    assert len(set(keys)) == 500
    for key in keys:
        check_cusip(key)
    values = drill_values(keys, 1_700_000_000_000_000, CONTRACT, random.Random(1))
    assert all(version_of(value) == 1_700_000_000_000_000 for value in values.values())
    assert next(iter(values)) == f"instr:{keys[0]}"


def test_the_gap_counts_from_the_last_acknowledgement_before_the_kill() -> None:
    assert Written(acknowledged_s=[1.0, 2.0, 4.5, 4.6]).gap_s(since_s=2.1) == 2.5
    assert Written(acknowledged_s=[1.0, 2.0, 2.2, 4.5]).gap_s(since_s=2.1) == pytest.approx(2.3)
    assert Written(acknowledged_s=[1.0]).gap_s(since_s=2.0) == float("inf")


def test_a_writer_remembers_only_what_was_acknowledged() -> None:
    store, keys = Refusing(refusals=3), drill_keys(50, CONTRACT)
    writer = Writer(store, keys, CONTRACT, batch=5, pause_s=0.01, seed=1)
    worked(writer)
    assert writer.written.batches_refused == 3
    assert writer.written.acknowledged_s
    assert store.get_many(list(writer.written.newest)) == list(writer.written.newest.values())


def test_a_reader_counts_what_failed_and_what_is_stale() -> None:
    failing, stale = (Reader(lambda fixed=fixed: fixed, ["/x"], pause_s=0.001, seed=1) for fixed in FIXED)  # type: ignore[misc]
    worked(failing, 0.05)
    worked(stale, 0.05)
    assert failing.answers.failed == failing.answers.total > 0
    assert (stale.answers.failed, stale.answers.stale) == (0, stale.answers.total)
    both = failing.answers + stale.answers
    assert both.total == failing.answers.total + stale.answers.total
    assert both.statuses == {503: failing.answers.total, 200: stale.answers.total}


FIXED = (Fixed(503, False), Fixed(200, True))


def test_answers_start_at_nothing() -> None:
    assert (Answers() + Answers()).total == 0


def test_a_dataset_with_other_keys_is_refused() -> None:

    other = replace(CONTRACT, key=replace(CONTRACT.key, identifier="lei"))
    with pytest.raises(DrillFailed, match="makes instruments with CUSIPs only"):
        drill_keys(1, other)
