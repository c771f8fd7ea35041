"""A body that does not come ends with its connection, and slow ones leave a thread for others."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest

from lookup_app.connections_cut import Unanswered
from lookup_app.problems import Problem, ProblemType
from lookup_app.slow_body import TimedBody, Watch


class Connection:
    """Both ends of a connection; the server's is a stream that waits as the real server's does."""

    def __init__(self, listener: socket.socket) -> None:
        self.client = socket.create_connection(listener.getsockname())
        self.server, _ = listener.accept()

    def read(self, size: int, /) -> bytes:
        data = b""
        while len(data) < size and (part := self.server.recv(size - len(data))):
            data += part
        return data

    def close(self) -> None:
        self.client.close()
        self.server.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def connection(listener: socket.socket) -> Iterator[Connection]:
    made = Connection(listener)
    yield made
    made.close()


def test_what_comes_in_time() -> None:
    watch = Watch(5, 2)
    body = TimedBody(BytesIO(b"abcdef"), watch, 1)
    assert (body.read(2), body.read(), body.read(5)) == (b"ab", b"cdef", b"")
    assert watch.awaited == 0


def test_what_does_not_come(listener: socket.socket, connection: Connection) -> None:
    body = TimedBody(connection, Watch(0.5, 1), listener.getsockname()[1])
    connection.client.sendall(b"{")
    started_s = time.monotonic()
    with pytest.raises(Problem) as raised:
        body.read(10)
    assert raised.value.kind is ProblemType.BODY_TOO_SLOW
    assert 0.5 <= time.monotonic() - started_s < 5
    assert connection.client.recv(1) == b"", "its connection was cut"


def test_no_more_are_awaited_than_set(listener: socket.socket, connection: Connection) -> None:
    watch = Watch(30, 1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(TimedBody(connection, watch, listener.getsockname()[1]).read, 1)
        while watch.awaited < 1:
            time.sleep(0.001)
        with pytest.raises(Problem) as raised:
            TimedBody(BytesIO(b"x"), watch, 1).read(1)
        assert raised.value.kind is ProblemType.BUSY
        connection.client.sendall(b"y")
        assert waiting.result(timeout=10) == b"y"
    assert TimedBody(BytesIO(b"x"), watch, 1).read(1) == b"x"


def test_only_what_is_unanswered_is_cut(listener: socket.socket, connection: Connection) -> None:
    slow, answered, elsewhere = connection, Connection(listener), socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def answer() -> None:
        while not stop.wait(0.02):
            answered.client.sendall(b"?")
            answered.server.recv(10)
            answered.server.sendall(b"!")
            answered.client.recv(10)

    answering = threading.Thread(target=answer)
    answering.start()
    unanswered, cut, started_s = Unanswered(listener.getsockname()[1]), 0, time.monotonic()
    while cut == 0 and time.monotonic() - started_s < 10:
        slow.client.sendall(b"x")  # byte by byte is no better than nothing
        cut = unanswered.cut(0.3)
        time.sleep(0.02)
    stop.set()
    answering.join()
    assert (cut, time.monotonic() - started_s >= 0.3) == (1, True)
    assert slow.client.recv(1) == b""
    answered.server.sendall(b"still here")
    assert answered.client.recv(100) == b"still here"
    answered.close()
    elsewhere.close()


def test_forgotten_is_seen_anew(listener: socket.socket, connection: Connection) -> None:
    now_s = [100.0]
    unanswered = Unanswered(listener.getsockname()[1], lambda: now_s[0])
    connection.client.sendall(b"x")
    assert unanswered.cut(5) == 0
    now_s[0] += 10
    unanswered.forget()
    assert unanswered.cut(5) == 0
