"""What every source promises, asked of the in-memory twin and of the real simulator process by the same tests."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from feed.sources.simulator import SimulatorSource
from instrument_cache.errors import SettingsError, SourceUnavailable
from instrument_cache.settings import Environment
from instrument_cache.source.interface import (
    Delete,
    Heartbeat,
    Put,
    RowRefused,
    SnapshotBegin,
    SnapshotEnd,
    Source,
    SourceEvent,
)
from instrument_cache.source.memory import MemorySource
from instrument_cache.source.registry import open_source

V1, V2, V3 = 1763674000000001, 1763674000000002, 1763674000000003
SMALL_QUEUE_BYTES = 8 * 1024 * 1024
DEADLINE_S = 30.0
TOKEN = "a-token-of-the-test"


def row(key: str, version: int | None = None, **more: object) -> bytes:
    fields: dict[str, object] = {"cusip": key, **more}
    return json.dumps(fields if version is None else {**fields, "last_updated": version}).encode()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s"
        time.sleep(0.01)


class Simulator:
    """A simulator process on a free port, with its files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token_file = folder / "token"
        self.token_file.write_text(TOKEN)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1/topics/instruments"

    def command(self, *more: str) -> list[str]:
        files = ["--data-dir", str(self.folder / "sow"), "--token-file", str(self.token_file)]
        return [sys.executable, "-m", "local_stack.sow_simulator", "--port", str(self.port), *files, *more]

    def start(self, *more: str) -> None:
        self.process = subprocess.Popen(self.command(*more))
        wait_for(lambda: self._is_up() or self.process.poll() is not None)
        assert self.process.poll() is None, "the simulator ended"

    def _is_up(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Stop with a signal; returns the seconds that it took."""
        begun = time.monotonic()
        os.kill(self.process.pid, number)
        self.process.wait(DEADLINE_S)
        return time.monotonic() - begun

    def subscribers(self) -> int:
        answer = httpx.get(self.url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)
        number: int = answer.json()["subscribers"]
        return number

    def source(self) -> SimulatorSource:
        return SimulatorSource(self.url, TOKEN)


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    server = Simulator(tmp_path)
    server.start("--queue-bytes-max", str(SMALL_QUEUE_BYTES))
    yield server
    if server.process.poll() is None:
        server.stop(signal.SIGKILL)


@pytest.fixture(params=["memory", "simulator"])
def source(request: pytest.FixtureRequest) -> Iterator[Source]:
    made: Source
    if request.param == "memory":
        made = MemorySource(queue_bytes_max=SMALL_QUEUE_BYTES)
    else:
        made = request.getfixturevalue("simulator").source()
    yield made
    made.close()


def until_end(events: Iterator[SourceEvent]) -> list[Put]:
    """Read a snapshot, check its frame, and return its rows."""
    begin = next(events)
    assert isinstance(begin, SnapshotBegin)
    puts: list[Put] = []
    for event in events:
        if isinstance(event, SnapshotEnd):
            assert event.rows == len(puts)
            return puts
        assert isinstance(event, Put)
        puts.append(event)
    raise AssertionError("the snapshot has no end")


def live(events: Iterator[SourceEvent], number: int) -> list[Put | Delete]:
    """The next live messages."""
    messages: list[Put | Delete] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(messages) < number:
        event = next(events)
        assert time.monotonic() < deadline, f"{len(messages)} of {number} messages came"
        if isinstance(event, Put | Delete):
            messages.append(event)
    return messages


def state(source: Source) -> dict[str, bytes]:
    return {put.key: put.payload for put in until_end(source.snapshot())}


def test_an_empty_snapshot_has_a_beginning_and_an_end(source: Source) -> None:
    assert list(source.snapshot()) == [SnapshotBegin("instruments", 0, 0), SnapshotEnd(0)]
    assert source.count() == 0


def test_a_snapshot_holds_the_rows_in_the_order_of_keys(source: Source) -> None:
    rows = [row(key) for key in ("c", "a", "b")]
    assert source.publish(rows) == 3
    events = list(source.snapshot())
    assert events[0] == SnapshotBegin("instruments", 3, 3)
    assert [(e.key, e.payload, e.position) for e in events if isinstance(e, Put)] == [
        ("a", rows[1], 2),
        ("b", rows[2], 3),
        ("c", rows[0], 1),
    ]
    assert source.count() == 3


def test_live_messages_come_in_the_order_of_publishing(source: Source) -> None:
    source.publish([row("a", V1)])
    events = source.subscribe()
    assert [put.key for put in until_end(events)] == ["a"]
    source.publish([row("b", V1), row("a", V2), b"", row("b", V2)])
    assert source.delete(["a", "not held", "a"]) == 1
    source.publish([row("c")])
    messages = live(events, 5)
    assert [m.key for m in messages] == ["b", "a", "b", "a", "c"]
    assert [m.position for m in messages] == [2, 3, 4, 5, 6]
    assert isinstance(messages[3], Delete)
    assert messages[3].version == V2
    assert state(source).keys() == {"b", "c"}
    assert source.count() == 2


def test_timestamps_have_16_digits_and_strictly_increase(source: Source) -> None:
    events = source.subscribe()
    until_end(events)
    source.publish(row(f"{i}") for i in range(500))
    source.delete(f"{i}" for i in range(100))
    source.publish([row("0")])
    timestamps = [message.timestamp_us for message in live(events, 601)]
    assert all(a < b for a, b in pairwise(timestamps))
    assert {len(str(timestamp)) for timestamp in timestamps} == {16}


def test_an_older_version_is_delivered_and_the_state_stays(source: Source) -> None:
    events = source.subscribe()
    until_end(events)
    rows = [row("a", V2), row("a", V1), row("a", V2, note="same version, later")]
    source.publish(rows)
    assert [m.payload for m in live(events, 3) if isinstance(m, Put)] == rows
    assert state(source) == {"a": rows[2]}


def test_a_row_without_version_takes_its_publish_time(source: Source) -> None:
    rows = [row("a", V2), row("a"), row("a", last_updated=None), row("a", V3)]
    source.publish(rows)
    assert state(source) == {"a": rows[2]}
    put = until_end(source.snapshot())[0]
    source.publish([row("b")])
    source.delete(["a"])
    events = source.subscribe()
    until_end(events)
    source.publish([row("a", put.timestamp_us)])
    live(events, 1)
    assert state(source).keys() == {"b"}


@pytest.mark.parametrize("version", [V1, V2])
def test_a_delete_is_not_undone_by_the_same_or_an_older_version(source: Source, version: int) -> None:
    source.publish([row("a", V2)])
    source.delete(["a"])
    events = source.subscribe()
    assert until_end(events) == []
    source.publish([row("a", version)])
    assert [m.key for m in live(events, 1)] == ["a"]
    assert state(source) == {}
    assert source.delete(["a"]) == 0
    source.publish([row("a", V3)])
    assert state(source) == {"a": row("a", V3)}
    assert source.count() == 1


BAD_ROWS = [
    b'{"cusip": "a", "last_updated": 1763674000000009',
    b'{"cusip": "a", "last_updated": 176367400000000}',
    b'{"cusip": "a", "last_updated": "1763674000000009"}',
    b'{"cusip": "a", "last_updated": 1763674000000009.0}',
    b'{"cusip": "a", "name": "\xff\xfe"}',
    b'{"cusip": 5}',
    b'{"cusip": ""}',
    b'{"cusip": "' + b"a" * 257 + b'"}',
    b'{"cusip": "sha256:00"}',
    b"[]",
    b"\x00\x80\xff\r",
    b" ",
    b"[" * 100_000,
]


def test_a_bad_row_is_kept_byte_for_byte_and_replaces_nothing(source: Source) -> None:
    events = source.subscribe()
    until_end(events)
    good = row("a", V1)
    source.publish([good, *BAD_ROWS, *BAD_ROWS])
    assert [m.payload for m in live(events, 2 * len(BAD_ROWS) + 1) if isinstance(m, Put)] == [
        good,
        *BAD_ROWS,
        *BAD_ROWS,
    ]
    held = state(source)
    assert held.pop("a") == good
    assert sorted(held.values()) == sorted(BAD_ROWS)
    assert all(key.startswith("sha256:") for key in held)
    assert source.delete(held) == len(BAD_ROWS)


def test_large_rows_and_unusual_keys_are_kept_byte_for_byte(source: Source) -> None:
    large = [row("large", V1, name="x" * 2_000_000), b"\xff" * 2_000_000, b"{" + b" " * 5_000_000 + b"}"]
    unusual = [row(key) for key in ("a/b", "a#*@ %2F?", "Ünïcode 債券", 'a"\\', "a\n\u0000\u2028", "e" * 256)]
    source.publish([*large, *unusual])
    assert sorted(state(source).values()) == sorted([*large, *unusual])


@pytest.mark.parametrize("bad", [b"two\nlines", b"x" * (16 * 1024 * 1024 + 1)])
def test_a_row_that_cannot_travel_is_refused(source: Source, bad: bytes) -> None:
    with pytest.raises(RowRefused, match=r"line break|at most 16777216"):
        source.publish([bad])
    assert source.count() == 0


def publish_until(stop: Event, source: Source) -> None:
    """Publishes newer rows, deletes some, and publishes rows older than the state; a last batch after `stop`."""
    for first in range(0, 40_000, 50):
        last = stop.is_set()
        source.publish(row(f"{i % 1700}", V1 + i) for i in range(first, first + 50))
        source.publish([row(f"{2_000 + first % 1_000}", V1 - 2)])
        source.delete([f"{first % 1700}"])
        if last:
            return


def replica_of(events: Iterator[SourceEvent]) -> tuple[int, dict[str, tuple[int, bytes]]]:
    """The position at which a subscription begins, and (version, row) per key of its snapshot."""
    begin = next(events)
    assert isinstance(begin, SnapshotBegin)
    held: dict[str, tuple[int, bytes]] = {}
    while isinstance(event := next(events), Put):
        held[event.key] = (json.loads(event.payload)["last_updated"], event.payload)
    assert isinstance(event, SnapshotEnd)
    return begin.position, held


def test_nothing_is_lost_between_snapshot_and_live(source: Source) -> None:
    """A subscriber that joins while another thread publishes ends in the state of the source."""
    source.publish(row(f"{i}", V1 - 1, filler="x" * 2_000) for i in range(3_000))
    stop = Event()
    publisher = Thread(target=publish_until, args=(stop, source))
    publisher.start()
    events = source.subscribe()
    first, replica = replica_of(events)
    stop.set()
    publisher.join(DEADLINE_S)
    newest = next(iter(source.snapshot()))
    assert isinstance(newest, SnapshotBegin)
    messages = live(events, newest.position - first)
    assert [m.position for m in messages] == list(range(first + 1, newest.position + 1))
    for message in messages:
        version = message.version if isinstance(message, Delete) else json.loads(message.payload)["last_updated"]
        held_version, held = replica.get(message.key, (0, b""))
        if isinstance(message, Delete):
            replica[message.key] = (max(version, held_version), b"")
        elif version > held_version or (version == held_version and held):
            replica[message.key] = (version, message.payload)
    assert {key: held for key, (_, held) in replica.items() if held} == state(source)


def test_an_idle_subscriber_gets_heartbeats(source: Source) -> None:
    events = source.subscribe()
    until_end(events)
    begun = time.monotonic()
    assert [next(events), next(events)] == [Heartbeat(), Heartbeat()]
    assert 1.0 < time.monotonic() - begun < 10.0


def test_two_subscribers_get_the_same(source: Source) -> None:
    both = [source.subscribe(), source.subscribe()]
    for events in both:
        until_end(events)
    source.publish([row("a"), row("b")])
    assert live(both[0], 2) == live(both[1], 2)


def test_a_slow_subscriber_is_cut_off_and_subscribes_again(source: Source) -> None:
    events = source.subscribe()
    until_end(events)
    filler = "x" * 100_000
    for first in range(0, 400, 5):  # 40 MB: far more than the queue and the network's buffers
        source.publish(row(f"{i}", V1, filler=filler) for i in range(first, first + 5))
    with pytest.raises(SourceUnavailable):
        live(events, 401)
    assert len(until_end(source.subscribe())) == 400


def test_a_closed_source_ends_its_subscribers_and_refuses_work(source: Source) -> None:
    events = source.subscribe()
    until_end(events)
    Thread(target=source.close).start()
    with pytest.raises(SourceUnavailable, match="closed"):
        live(events, 1)
    calls: list[Callable[[], object]] = [
        lambda: source.publish([b"a"]),
        lambda: source.delete(["a"]),
        source.count,
        lambda: next(iter(source.snapshot())),
    ]
    for call in calls:
        with pytest.raises(SourceUnavailable, match="closed"):
            call()


def test_the_simulator_survives_kill_9(simulator: Simulator) -> None:
    source = simulator.source()
    events = source.subscribe()
    until_end(events)
    source.publish([row("a", V2), row("b", V2), b"\xff", row("b", V1), row("c")])
    source.delete(["b"])
    before = until_end(source.snapshot())
    newest = live(events, 6)[-1]
    simulator.stop(signal.SIGKILL)
    with pytest.raises(SourceUnavailable):
        live(events, 1)
    with pytest.raises(SourceUnavailable, match="is it running"):
        source.count()
    simulator.start()
    assert until_end(source.snapshot()) == before
    events = source.subscribe()
    until_end(events)
    source.publish([row("b", V1)])
    message = live(events, 1)[0]
    assert message.position == newest.position + 1
    assert message.timestamp_us > newest.timestamp_us
    assert state(source).keys() == {put.key for put in before}


def test_kill_9_while_publishing_loses_nothing_that_was_answered(simulator: Simulator) -> None:
    source = simulator.source()
    answered: list[int] = []

    def publish() -> None:
        try:
            for i in range(100_000):
                source.publish([row(f"{i}", V1)])
                answered.append(i)
        except SourceUnavailable:
            return

    publisher = Thread(target=publish)
    publisher.start()
    wait_for(lambda: len(answered) >= 200)
    simulator.stop(signal.SIGKILL)
    publisher.join(DEADLINE_S)
    simulator.start()
    held = state(source).keys()
    assert {f"{i}" for i in answered} <= held
    assert len(held) <= len(answered) + 1


def test_sigterm_ends_it_within_two_seconds_although_readers_are_connected(simulator: Simulator) -> None:
    source = simulator.source()
    reading = source.subscribe()
    until_end(reading)
    with socket.socket() as stuck:  # asks for the stream and never reads it
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", simulator.port))
        head = f"GET /v1/topics/instruments/subscribe HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        stuck.sendall(head.encode())
        wait_for(lambda: simulator.subscribers() == 2)
        for i in range(70):
            source.publish([row(f"{i}", V1, filler="x" * 100_000)])
        live(reading, 70)
        assert simulator.stop() < 2.0
    with pytest.raises(SourceUnavailable):
        live(reading, 1)


def test_a_reader_that_leaves_is_forgotten(simulator: Simulator) -> None:
    events = simulator.source().subscribe()
    until_end(events)
    assert simulator.subscribers() == 1
    del events
    wait_for(lambda: simulator.subscribers() == 0)


def test_the_registry_opens_the_simulator_also_with_gzip(simulator: Simulator) -> None:
    url = f"sow+http://127.0.0.1:{simulator.port}/instruments?compress=gzip"
    env = Environment({"ICACHE_SOURCE_URL": url, "ICACHE_SOURCE_TOKEN_FILE": str(simulator.token_file)})
    source = open_source(env=env)
    rows = [*BAD_ROWS, *(row(f"{i}", V1, filler="x" * 3_000) for i in range(12_345))]
    assert source.publish(rows) == len(rows)
    assert sorted(state(source).values()) == sorted(rows)


def test_a_wrong_token_or_topic_is_a_wrong_setting(simulator: Simulator) -> None:
    with pytest.raises(SettingsError, match="ICACHE_SOURCE_TOKEN"):
        SimulatorSource(simulator.url, "wrong").count()
    with pytest.raises(SettingsError, match="ICACHE_SOURCE_TOKEN"):
        next(iter(SimulatorSource(simulator.url, "wrong").subscribe()))
    with pytest.raises(SettingsError, match="ICACHE_SOURCE_URL"):
        SimulatorSource(f"{simulator.url}x", TOKEN).publish([b"a"])


def test_a_command_line_that_cannot_be_used_says_why(simulator: Simulator) -> None:
    def refusal(*more: str) -> str:
        ended = subprocess.run(
            simulator.command(*more), capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
        assert ended.returncode == 2
        assert "Traceback" not in ended.stderr
        return ended.stderr

    assert "choose another --port" in refusal()
    assert "free it or choose another" in refusal("--port", "0")
    assert "write the token into it" in refusal("--token-file", "/dev/null")
    assert "choose another name" in refusal("--port", "0", "--topic", "../x")
    simulator.stop()
    assert "start with those fields" in refusal("--port", "0", "--key-field", "isin")


def test_rows_are_the_newest_of_each_key_in_the_order_asked(source: Source) -> None:
    source.publish([row("A", V1), row("B", V1), row("A", V3), row("A", V2), b"no JSON", row("C", V1)])
    source.delete(["C"])
    found = source.rows(["B", "nobody", "A", "C", "A"])
    assert [put and put.payload for put in found] == [row("B", V1), None, row("A", V3), None, row("A", V3)]
    assert found[0] == next(put for put in until_end(source.snapshot()) if put.key == "B")
    assert source.rows([]) == []


def test_rows_of_many_keys_come_whole(source: Source) -> None:
    keys = [f"K{at:05}" for at in range(2_500)]
    source.publish([row(key, V1, name="x" * 1000) for key in keys[::2]])
    found = source.rows(keys)
    assert [put and put.key for put in found] == [key if at % 2 == 0 else None for at, key in enumerate(keys)]
