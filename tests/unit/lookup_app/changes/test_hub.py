"""Who is told what, and who is cut off."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from instrument_cache.epoch import Epoch
from instrument_cache.history import History, Restored
from lookup_app.changes.client import Client
from lookup_app.changes.cursor import Cursor
from lookup_app.changes.events import Batch, Changes, Event, Kind
from lookup_app.changes.hub import Hub
from lookup_app.changes.metrics import ChangesMetrics
from lookup_app.changes.records import Record

TOPIC = "0123456789ab"


class Queue:
    """A listener's end; `waiting` bytes were not taken."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.waiting = 0
        self.ended = ""

    def send(self, batch: Batch) -> None:
        self.batches.append(batch)

    def waiting_bytes(self) -> int:
        return self.waiting

    def close(self) -> None:
        self.ended = "closed"

    def cut(self) -> None:
        self.ended = "cut"

    @property
    def keys(self) -> list[str]:
        return [event.key for batch in self.batches for event in batch.events]


@pytest.fixture
def metrics() -> ChangesMetrics:
    return ChangesMetrics()


@pytest.fixture
def hub(metrics: ChangesMetrics) -> Hub:
    made = Hub(metrics.of("d"))
    made.begin(Cursor(TOPIC, {0: 0}))
    return made


def listen(hub: Hub, *ids: str) -> tuple[Client, Queue]:
    queue = Queue()
    client = Client(frozenset(ids), queue, 1000)
    hub.clients.add(client)
    hub.attach(client)
    return client, queue


def changes(keys: Sequence[str], first: int = 0) -> Changes:
    records = [Record(0, first + number, key.encode()) for number, key in enumerate(keys)]
    events = [Event(Kind.PUT, "c", key, 1, b"{}") for key in keys]
    return Changes(events, records, records, Cursor(TOPIC, {0: first + len(keys)}))


def test_all_share_the_same_bytes(hub: Hub) -> None:
    queues = [listen(hub)[1] for _ in range(3)]
    hub.publish(changes(["a", "b"]))
    assert [queue.keys for queue in queues] == [["a", "b"]] * 3
    assert queues[0].batches[0].sse is queues[1].batches[0].sse


def test_listeners_to_ids_get_theirs_by_the_index(hub: Hub) -> None:
    (_, first), (second, other) = listen(hub, "a", "c"), listen(hub, "b")
    hub.publish(changes(["a", "b", "c", "d"]))
    assert (first.keys, other.keys) == (["a", "c"], ["b"])
    hub.leave(second)
    hub.publish(changes(["b"], 4))
    assert other.keys == ["b"]


def test_who_is_too_slow_is_cut_off_and_holds_up_nobody(hub: Hub, metrics: ChangesMetrics) -> None:
    (slow, stuck), (_, brisk) = listen(hub), listen(hub)
    stuck.waiting = 1001
    hub.publish(changes(["a"]))
    hub.publish(changes(["b"], 1))
    assert (stuck.ended, stuck.keys, brisk.keys) == ("cut", [], ["a", "b"])
    assert slow not in hub.clients
    assert b'instrument_cache_changes_slow_clients_total{dataset="d"} 1.0' in metrics.exposition()


def test_heartbeats_move_the_id_of_those_who_are_live(hub: Hub) -> None:
    _, queue = listen(hub, "a")
    waiting = Queue()
    hub.clients.add(Client(frozenset(), waiting, 1000))
    hub.publish(changes(["b", "b"]))
    hub.heartbeat()
    assert queue.batches[-1].events[0].cursor == f"{TOPIC}_0.2"
    assert waiting.batches[-1].events[0].cursor == ""


def test_another_topic_is_a_reset_for_all(hub: Hub) -> None:
    _, queue = listen(hub)
    hub.begin(Cursor(TOPIC, {0: 5, 1: 0}))
    assert not queue.batches
    hub.begin(Cursor("f" * 12, {0: 0}))
    assert queue.batches[-1].events[0].kind is Kind.RESET


def test_it_does_not_rest_while_anybody_is_there(hub: Hub) -> None:
    client, queue = listen(hub)
    assert not hub.end()
    hub.close()
    assert queue.ended == "closed"
    assert not client.is_open
    assert hub.end()
    assert hub.cursor is None


def history(epoch: int, at_ms: int) -> History:
    return History(Epoch(number=epoch, reason="a bad load", pinned=True), Restored(at_ms, "r", "b", "all keys"))


def test_what_was_written_past_the_log_is_told_to_all(hub: Hub) -> None:
    _, queue = listen(hub)
    _, of_one = listen(hub, "a")
    waiting = Queue()
    hub.clients.add(Client(frozenset(), waiting, 1000))
    hub.note(history(1, 5))
    told = [found.batches[-1].events[0] for found in (queue, of_one, waiting)]
    assert [event.kind for event in told] == [Kind.EPOCH] * 3
    assert [event.cursor for event in told] == [f"{TOPIC}_0.0_1.5", f"{TOPIC}_0.0_1.5", ""]
    assert not told[2].sse.startswith(b"id:")
    data = json.loads(told[0].data)
    assert data["epoch"] == {"number": 1, "opened_at": "", "reason": "a bad load", "backup": "", "pinned": True}
    assert data["restored"] == {"at_ms": 5, "backup": "b", "scope": "all keys", "keys": []}

    hub.note(history(1, 6))
    assert queue.batches[-1].events[0].kind is Kind.RESTORED
    hub.heartbeat()
    assert queue.batches[-1].events[0].cursor == f"{TOPIC}_0.0_1.6"


def test_who_missed_a_write_before_the_last_is_named_no_keys() -> None:
    last = Restored(at_ms=6, run_id="r", backup="", scope="a repair", keys=("a",), before_ms=5)
    both = History(Epoch(number=1), last)
    for mark in ((1, 5), (1, 6)):
        assert both.after(mark).restored == last
    for mark in ((1, 4), (0, 0)):
        told = both.after(mark).restored
        assert told is not None
        assert (told.at_ms, told.scope, told.keys) == (6, "all keys", ())
    assert History(Epoch()).after((0, 7)) == History(Epoch())
