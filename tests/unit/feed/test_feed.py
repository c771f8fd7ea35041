"""The feed against the twins of source and log: what it sends, what it leaves out, and what it refuses to delete."""

from __future__ import annotations

import json
from collections.abc import Iterable

from feed.change_log.memory import MemoryChangeLog
from feed.main import Feed
from instrument_cache.change import ChangeDecoder
from instrument_cache.contract import Contract
from instrument_cache.source.interface import SnapshotEnd, SourceEvent
from instrument_cache.source.memory import MemorySource

V = 1_763_674_000_123_456
CUSIPS = ["037833100", "594918104", "023135106", "38259P508"]


def row(cusip: str, version: int | None = V, **more: object) -> bytes:
    fields: dict[str, object] = {"cusip": cusip, **more}
    return json.dumps(fields if version is None else {**fields, "last_updated": version}).encode()


def make(contract: Contract, source: MemorySource, log: MemoryChangeLog, share_max: float = 1.0) -> Feed:
    return Feed(contract, source, log, sweep_share_max=share_max)


def follow_snapshot(feed: Feed, source: MemorySource) -> None:
    for event in source.snapshot():
        feed.handle(event)


def sent(log: MemoryChangeLog) -> list[tuple[str, str, object]]:
    records = [(key.decode(), json.loads(value)) for key, value in log.records]
    return [(key, record["op"], record["version"]) for key, record in records]


def test_a_snapshot_becomes_puts_that_the_job_accepts(contract: Contract) -> None:
    source, log = MemorySource(), MemoryChangeLog()
    source.publish([row(CUSIPS[0], pme="P-1"), row(CUSIPS[1], None)])
    follow_snapshot(make(contract, source, log), source)
    changes = [ChangeDecoder(contract).decode(value) for _, value in log.records]
    assert {change.key for change in changes} == set(CUSIPS[:2])
    by_key = {key: version for key, _, version in sent(log)}
    assert by_key[CUSIPS[0]] == V
    assert isinstance(by_key[CUSIPS[1]], int)
    assert by_key[CUSIPS[1]] > V  # its publish time


def test_after_a_restart_only_what_differs_is_sent(contract: Contract) -> None:
    source, log = MemorySource(), MemoryChangeLog()
    source.publish([row(cusip) for cusip in CUSIPS])
    follow_snapshot(make(contract, source, log), source)
    source.publish([row(CUSIPS[0], V + 1)])
    source.delete([CUSIPS[1]])
    before = len(log.records)
    follow_snapshot(make(contract, source, log), source)
    assert sent(log)[before:] == [(CUSIPS[0], "put", V + 1), (CUSIPS[1], "delete", V)]


def test_a_sweep_over_the_limit_is_refused(contract: Contract) -> None:
    many = [f"{number:08d}" for number in range(100)]
    source, log = MemorySource(), MemoryChangeLog()
    source.publish([row(cusip) for cusip in many])
    follow_snapshot(make(contract, source, log), source)
    empty = MemorySource()
    feed = make(contract, empty, log, share_max=0.2)
    follow_snapshot(feed, empty)
    assert len(log.records) == 100
    assert feed.state.sweep_refused == 100


def _until_live(feed: Feed, events: Iterable[SourceEvent]) -> None:
    for event in events:
        feed.handle(event)
        if isinstance(event, SnapshotEnd):
            return


def test_live_changes_all_go_through_also_older_ones(contract: Contract) -> None:
    source, log = MemorySource(), MemoryChangeLog()
    feed = make(contract, source, log)
    events = source.subscribe()
    _until_live(feed, events)
    source.publish([row(CUSIPS[0], V + 1), row(CUSIPS[0], V), row(CUSIPS[0], V)])
    source.delete([CUSIPS[0]])
    for _ in range(4):
        feed.handle(next(events))
    assert sent(log) == [
        (CUSIPS[0], "put", V + 1),
        (CUSIPS[0], "put", V),
        (CUSIPS[0], "put", V),
        (CUSIPS[0], "delete", V + 1),
    ]


def test_what_is_not_json_goes_through_as_it_is_and_is_not_sent_twice(contract: Contract) -> None:
    source, log = MemorySource(), MemoryChangeLog()
    bad = [b"{broken", b"\xff\xfe", b"[" * 5000, b'[1],"op":"delete"', b'{"a":1},"op":"delete"']
    source.publish(bad)
    for _ in range(2):
        follow_snapshot(make(contract, source, log), source)
    assert sorted(value for _, value in log.records) == sorted(bad)


def test_json_that_is_no_object_and_versions_that_are_none_are_wrapped_for_the_job_to_reject(
    contract: Contract,
) -> None:
    source, log = MemorySource(), MemoryChangeLog()
    source.publish([b"[1]", row(CUSIPS[0], None, last_updated="x")])
    follow_snapshot(make(contract, source, log), source)
    records = [json.loads(value) for _, value in log.records]
    assert [1] in [record["record"] for record in records]
    assert "x" in [record["version"] for record in records]


def test_the_removal_of_a_row_that_the_job_never_took_is_not_announced(contract: Contract) -> None:
    source, log = MemorySource(), MemoryChangeLog()
    source.publish([row("037833101")])
    feed = make(contract, source, log)
    events = source.subscribe()
    _until_live(feed, events)
    source.delete(["037833101"])
    feed.handle(next(events))
    assert [op for _, op, _ in sent(log)] == ["put"]


def test_canaries_in_the_log_are_no_rows_to_sweep(contract: Contract) -> None:
    log = MemoryChangeLog()
    log.write(b"~canary-0", b'{"op":"canary","version":1763674000123456,"source":{},"record":{}}', 0)
    source = MemorySource()
    feed = make(contract, source, log)
    follow_snapshot(feed, source)
    assert len(log.records) == 1, "a canary stands for no row, so an empty source does not sweep it"
