"""Real servers for tests, each on free ports of 127.0.0.1 and ended with the test."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local_stack.instance import Instance


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], object], timeout_s: float = 30.0, what: str = "the condition") -> None:
    """Poll until `condition` is true; what it raises counts as not yet, and is shown if the time runs out."""
    deadline = time.monotonic() + timeout_s
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = condition()
            if last:
                return
        except Exception as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come true within {timeout_s} s; last seen: {last!r}")


@contextmanager
def process(command: list[str], environment: dict[str, str] | None = None, log: Path | None = None) -> Iterator[int]:
    """A process group that ends with the block. Yields its pid."""
    with log.open("ab") if log else open(os.devnull, "wb") as output:
        child = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        yield child.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


@contextmanager
def redis_server(folder: Path, port: int, password: str) -> Iterator[str]:
    """A Redis that keeps everything in its append-only file. Yields its URL."""
    import redis

    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--requirepass", password]
    command += ["--dir", str(folder), "--appendonly", "yes", "--save", ""]
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    with process(command, log=folder / "redis.log"):
        wait_until(redis.Redis.from_url(url).ping, what="Redis")
        yield url


def free_port_offset() -> int:
    """An offset at which every port of the stack is free, below the range of outgoing connections."""
    from local_stack.instance import PORTS

    while True:
        offset = random.randrange(100, 12_000, 20)
        if all(_is_free(port + offset) for port in PORTS.values()):
            return offset


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextmanager
def stack_component(name: str, home: Path, port_offset: int) -> Iterator[object]:
    """One part of the laptop stack by itself, as the stack would start it. Yields its instance."""
    from local_stack.instance import Instance
    from local_stack.stack import component

    part = component(name)
    instance = Instance(home=home, tools=Instance.from_environment().tools, port_offset=port_offset)
    instance.make_secrets()
    part.prepare(instance)
    environment = {**instance.base_environment(), **part.environment(instance)}
    log = instance.folder("log") / f"{name}.log"
    with process(part.command(instance), environment, log):
        wait_until(lambda: part.is_ready(instance), part.ready_timeout_s, what=f"{name} (log: {log})")
        part.after_start(instance)
        yield instance


@contextmanager
def stack_parts(home: Path, *names: str) -> Iterator[Instance]:
    """Some parts of the laptop stack on ports of their own, with their files in `home`."""
    from local_stack.instance import Instance

    offset = free_port_offset()
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(stack_component(name, home, offset))
        yield Instance(home, Instance.from_environment().tools, offset)
