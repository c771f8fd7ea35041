"""Reads that call back: many in one command, answers in pieces, a Redis that hangs, refuses, goes or is another one."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from instrument_cache.errors import StoreUnavailable
from lookup_app.fast_lane.late_reads import LateReads

Found = list[tuple[bytes | None, str, bool]]


class OneLink:
    """Implements what `LateReads` needs of `Links`: the other end is in the hands of the test."""

    def __init__(self) -> None:
        self.made: list[socket.socket] = []

    def connect(self, limit_s: float) -> Any:
        ours, theirs = socket.socketpair()
        theirs.settimeout(10)
        self.made.append(theirs)
        return SimpleNamespace(socket=ours, peer=f"redis-{len(self.made)}", close=ours.close)


class Scene:
    """`LateReads` on a loop of its own, with a limit of 0.1 s."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop, self.links, self.reader = loop, OneLink(), SimpleNamespace(peer=None, refusal="")
        self.reads = LateReads(loop, self.links, self.reader, 0.1)  # type: ignore[arg-type]
        self.found: Found = []

    def until(self, done: Callable[[], bool]) -> None:
        async def wait() -> None:
            while not done():
                await asyncio.sleep(0.001)

        self.loop.run_until_complete(asyncio.wait_for(wait(), 10))

    def connect(self) -> socket.socket:
        self.until(lambda: self.reads.available)
        return self.links.made[-1]

    def ask(self, *keys: str) -> None:
        def done(value: bytes | None, error: StoreUnavailable | None, slow: bool) -> None:
            self.found.append((value, str(error or ""), slow))

        for key in keys:
            self.reads.get(key, done)

    def answered(self, count: int) -> Found:
        self.until(lambda: len(self.found) == count)
        return self.found


@pytest.fixture
def scene() -> Iterator[Scene]:
    loop = asyncio.new_event_loop()
    made = Scene(loop)
    yield made
    made.reads.close()
    for link in made.links.made:
        link.close()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def test_reads_of_one_turn_are_one_command(scene: Scene) -> None:
    redis = scene.connect()
    scene.ask("a", "bc")

    def serve() -> None:
        assert redis.recv(1000) == b"*3\r\n$4\r\nMGET\r\n$1\r\na\r\n$2\r\nbc\r\n"
        redis.sendall(b"*2\r\n$3\r\nx\r\n\r\n$-1\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    assert scene.answered(2) == [(b"x\r\n", "", False), (None, "", False)]
    thread.join()


def test_an_answer_may_come_byte_by_byte(scene: Scene) -> None:
    redis = scene.connect()
    scene.ask("a", "b")
    answer = b"*2\r\n$2\r\nxy\r\n$1\r\nz\r\n"
    for at in range(len(answer)):
        assert scene.found == []
        redis.sendall(answer[at : at + 1])
        scene.loop.run_until_complete(asyncio.sleep(0))
    assert [value for value, _, _ in scene.answered(2)] == [b"xy", b"z"]


def test_a_redis_that_hangs_fails_what_was_asked_and_is_asked_on_another_link(scene: Scene) -> None:
    scene.connect()
    scene.ask("a", "b")
    assert scene.answered(2) == [(None, "Redis did not answer in time", True)] * 2
    scene.connect().sendall(b"*1\r\n$1\r\nx\r\n")
    scene.ask("a")
    assert scene.answered(3)[-1] == (b"x", "", False)


def test_a_refusal_is_no_slow_failure(scene: Scene) -> None:
    scene.connect().sendall(b"-LOADING Redis is loading\r\n")
    scene.ask("a")
    ((value, error, slow),) = scene.answered(1)
    assert (value, slow) == (None, False)
    assert "LOADING" in error


def test_a_redis_that_goes(scene: Scene) -> None:
    redis = scene.connect()
    scene.ask("a")
    scene.loop.run_until_complete(asyncio.sleep(0))
    redis.close()
    ((value, error, slow),) = scene.answered(1)
    assert (value, slow, error[:22]) == (None, False, "Redis closed the conne")


def test_another_master_is_another_link(scene: Scene) -> None:
    scene.connect()
    scene.reader.peer = "redis-2"
    assert not scene.reads.available
    scene.connect()
    assert scene.reads.peer == "redis-2"


def test_a_redis_that_must_not_be_read_is_not(scene: Scene) -> None:
    scene.connect()
    scene.reader.refusal = "this Redis is no master"
    assert not scene.reads.available
