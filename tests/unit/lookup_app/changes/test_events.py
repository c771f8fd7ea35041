"""Records and the store's content → events, and events → bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from instrument_cache.contract import Contract
from instrument_cache.errors import StoreUnavailable
from instrument_cache.store.interface import Position
from lookup_app.changes.cursor import Cursor
from lookup_app.changes.events import Event, Kind
from lookup_app.changes.feed import Held
from lookup_app.changes.maker import EventMaker
from lookup_app.changes.records import Record, Tail

TOPIC = "0123456789ab"
APPLE, MICROSOFT = b"037833100", b"594918104"
V = 1_763_674_000_123_456


class Store:
    """What the cache holds, and how far it is."""

    def __init__(self, values: dict[str, bytes], end: int = 100) -> None:
        self.values, self.end = values, end

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self.values.get(key) for key in keys]

    def positions(self, partitions: Sequence[int]) -> dict[int, Position]:
        return {partition: Position(0, self.end) for partition in partitions}


@pytest.fixture
def maker(contract: Contract) -> Callable[..., EventMaker]:
    def make(end: int = 100, **values: bytes) -> EventMaker:
        return EventMaker(Store({f"instr:{key[1:]}": value for key, value in values.items()}, end), contract)

    return make


def put(key: bytes, version: int = V) -> bytes:
    return b'{"v":%d,"cusip":"%b"}' % (version, key)


def test_only_the_newest_record_of_a_key_makes_an_event(maker: Callable[..., EventMaker]) -> None:
    records = [Record(0, 4, APPLE), Record(0, 5, MICROSOFT), Record(0, 6, APPLE), Record(1, 9, b"~canary-1")]
    made = maker(_037833100=put(APPLE), _594918104=put(MICROSOFT)).changes(records, Cursor(TOPIC, {0: 4, 1: 2}))
    assert [(event.key, event.cursor) for event in made.events] == [
        ("594918104", f"{TOPIC}_0.6-1.2"),
        ("037833100", f"{TOPIC}_0.7-1.2"),
    ]
    assert made.cursor == Cursor(TOPIC, {0: 7, 1: 10})
    assert [event.key for event in made.since({0: 6, 1: 0}, frozenset())] == ["037833100"]
    assert not made.since({0: 0, 1: 0}, frozenset({"other"}))


def test_a_master_that_went_back_is_noticed(maker: Callable[..., EventMaker]) -> None:
    with pytest.raises(StoreUnavailable, match="went back"):
        maker(end=4, _037833100=put(APPLE)).changes([Record(0, 4, APPLE)], Cursor(TOPIC, {0: 4}))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (put(APPLE), ("put", V)),
        (b'{"v":%d,"~deleted_at":%d}' % (V, V), ("delete", V)),
        (None, ("delete", None)),
        (b"not of the store", None),
        (b'{"v":%d,\n"cusip":"037833100"}' % V, None),
    ],
)
def test_what_the_store_holds_is_what_is_told(
    maker: Callable[..., EventMaker], stored: bytes | None, expected: tuple[str, int | None] | None
) -> None:
    values = {} if stored is None else {"_037833100": stored}
    made = maker(**values).changes([Record(0, 4, APPLE)], Cursor(TOPIC, {0: 4}))
    assert [(event.kind, event.version) for event in made.events] == ([expected] if expected else [])


@pytest.mark.parametrize("key", [b"", b"no instrument", b"\xff\xfe", b"037833101", b"~canary-0"])
def test_a_key_that_is_none_makes_no_event(maker: Callable[..., EventMaker], key: bytes) -> None:
    made = maker().changes([Record(0, 4, key)], Cursor(TOPIC, {0: 4}))
    assert not made.events
    assert made.cursor.offsets == {0: 5}


def test_how_events_read() -> None:
    event = Event(Kind.PUT, f"{TOPIC}_0.1", "037833100", V, put(APPLE))
    assert event.sse == (
        b'id: 0123456789ab_0.1\nevent: put\ndata: {"id":"037833100","version":1763674000123456,"op":"put",'
        b'"instrument":{"v":1763674000123456,"cusip":"037833100"}}\n\n'
    )
    assert event.sse is event.sse, "encoded once, whoever gets it"
    gone = Event(Kind.DELETE, "c", "037833100").sse.split(b"data: ")[1]
    assert json.loads(gone) == {"id": "037833100", "version": None, "op": "delete", "instrument": None}
    assert Event(Kind.HEARTBEAT, "c").sse == b": alive\nid: c\n\n"
    assert Event(Kind.HEARTBEAT, "").sse == b": alive\n\n"
    assert json.loads(Event(Kind.RESET, "c", detail="why").sse.split(b"data: ")[1])["reason"] == "why"


def test_the_tail_knows_what_it_forgot() -> None:
    tail = Tail(records_max=6)
    tail.restart(Cursor(TOPIC, {0: 10, 1: 0}))
    tail.add(Record(0, offset, APPLE) for offset in range(10, 15))
    assert tail.since(Cursor(TOPIC, {0: 10, 1: 0})) is None
    kept = tail.since(Cursor(TOPIC, {0: 13, 1: 0}))
    assert kept is not None
    assert [record.offset for record in kept] == [13, 14]
    assert tail.since(Cursor(TOPIC, {0: 15, 1: 3})) == []


def test_records_are_held_until_they_are_applied() -> None:
    held = Held()
    held.restart({0: 3, 1: 0})
    held.add([Record(0, 3, APPLE), Record(0, 5, APPLE), Record(1, 0, APPLE), Record(0, 3, APPLE)])
    assert len(held) == 3, "what was read once is not read again"
    assert held.applied({0: Position(0, 5), 1: Position()}, 10) == [Record(0, 3, APPLE)]
    held.drop([Record(0, 3, APPLE)])
    assert held.applied({0: Position(0, 9), 1: Position(0, 1)}, 1) == [Record(0, 5, APPLE)]
