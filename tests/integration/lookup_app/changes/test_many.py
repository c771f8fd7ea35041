"""A thousand listeners at once, and those that do not keep up."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from local_stack.synthetic import synthetic_cusip
from tests.integration.lookup_app.changes.scene import Listener, Process, World
from tests.servers import wait_until

LISTENERS = 1000
KEYS = 20


class Crowd:
    """Many listeners in one event loop. `missing` counts for each the instruments whose newest version it lacks."""

    def __init__(self, urls: list[str], wanted: set[str], version: int) -> None:
        self._urls, self._wanted = urls, {f'"{key}","version":{version},'.encode() for key in wanted}
        self.last_ids = [""] * len(urls)
        self.left = [set(self._wanted) for _ in urls]

    async def listen(self, timeout_s: float) -> None:
        """Until every listener has all, each resuming from its last id whenever it is cut off."""
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*(self._one(number) for number in range(len(self._urls))))

    async def _one(self, number: int) -> None:
        while self.left[number]:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._until_cut(number)
            await asyncio.sleep(0.2)

    async def _until_cut(self, number: int) -> None:
        parts = urlsplit(self._urls[number])
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1024 * 1024)
        resume = f"Last-Event-ID: {self.last_ids[number]}\r\n" if self.last_ids[number] else ""
        writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: x\r\n{resume}\r\n".encode())
        try:
            while self.left[number] and (line := await reader.readline()):
                self._take(number, line)
        finally:
            writer.transport.abort()

    def _take(self, number: int, line: bytes) -> None:
        if line.startswith(b"id: "):
            self.last_ids[number] = line[4:-1].decode()
        elif line.startswith(b"data: "):
            self.left[number].discard(line.partition(b'"id":')[2].partition(b'"op"')[0])


async def greeted(crowd: Crowd) -> None:
    while not all(crowd.last_ids):
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("killed", [False, True], ids=["all the time", "over a kill"])
def test_each_of_a_thousand_gets_everything(world: World, killed: bool) -> None:
    process = world.process()

    async def run() -> Crowd:
        crowd = Crowd([world.url(process)] * LISTENERS, {synthetic_cusip(number) for number in range(KEYS)}, 0)
        listening = asyncio.create_task(crowd.listen(100))
        await asyncio.wait_for(greeted(crowd), 60)
        if killed:
            process.kill()
        version = await asyncio.to_thread(world.put, *range(KEYS))
        for left in crowd.left:
            left.clear()
            left.update(f'"{synthetic_cusip(number)}","version":{version},'.encode() for number in range(KEYS))
        if killed:
            process.start()
        await listening
        return crowd

    crowd = asyncio.run(run())
    assert not any(crowd.left)


def stuck(url: str) -> socket.socket:
    """A listener that asks and never reads."""
    parts = urlsplit(url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((parts.hostname, parts.port))
    connection.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection


def test_a_slow_listener_is_cut_off_holds_up_nobody_and_resumes(world: World) -> None:
    process = world.process(ICACHE_LOOKUP_CHANGES_WAITING_BYTES_MAX="65536")
    brisk = Listener(world.url(process))
    wait_until(lambda: brisk.kinds() == ["hello"])
    slow = stuck(world.url(process))
    wait_until(lambda: process.metric("clients", world.dataset) == 2)
    for _ in range(8):
        newest = world.put(*range(500))
        wait_until(lambda v=newest: brisk.state.get(synthetic_cusip(499), {}).get("version") == v)
    wait_until(lambda: process.metric("slow_clients_total", world.dataset) == 1)
    assert world.has_all(brisk)
    received = read_all(slow)
    last_id = received.rpartition(b"\nid: ")[2].partition(b"\n")[0].decode()
    again = Listener(world.url(process), last_id)
    wait_until(lambda: world.has_all(again) or len(again.state) >= 500, what="the rest")
    told = {key: data["version"] for key, data in again.state.items()}
    assert all(world.stored()[key] == version for key, version in told.items())
    assert "reset" not in again.kinds()


def read_all(connection: socket.socket) -> bytes:
    """What was on the way to a connection that the other end has given up."""
    parts: list[bytes] = []
    with suppress(ConnectionError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts).rpartition(b"\n\n")[0]


def test_a_listener_that_takes_nothing_while_it_catches_up_is_cut_off(world: World) -> None:
    process = world.process(ICACHE_LOOKUP_CHANGES_WAITING_BYTES_MAX="65536")
    brisk = Listener(world.url(process))
    wait_until(lambda: brisk.kinds() == ["hello"])
    start = brisk.last_id
    world.put(*range(3000))
    wait_until(lambda: world.has_all(brisk))
    parts = urlsplit(world.url(process))
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect((parts.hostname, parts.port))
    slow.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: x\r\nLast-Event-ID: {start}\r\n\r\n".encode())
    wait_until(lambda: process.metric("slow_clients_total", world.dataset) == 1, 40)
    assert process.metric("clients", world.dataset) == 1


def test_a_stopped_process_is_no_gap_either(world: World) -> None:
    """SIGSTOP, as a machine that is suspended: the listener goes elsewhere."""
    first: Process = world.process()
    listener = Listener(world.url(first))
    wait_until(lambda: listener.kinds() == ["hello"])
    first.signal(signal.SIGSTOP)
    version = world.put(7)
    second = world.process()
    other = Listener(world.url(second), listener.last_id)
    wait_until(lambda: other.state.get(synthetic_cusip(7), {}).get("version") == version)
    first.signal(signal.SIGCONT)
    wait_until(lambda: listener.state.get(synthetic_cusip(7), {}).get("version") == version)
