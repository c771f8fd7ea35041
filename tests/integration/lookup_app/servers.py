"""Real servers for the tests of the lookup service: a Redis with a password, and granian."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx
import redis

PROJECT = Path(__file__).parents[3]
PASSWORD = "a-pass:word/with@signs"
READY_S_MAX = 30.0


def wait_until(done: Callable[[], bool], what: str, timeout_s: float = READY_S_MAX) -> None:
    """Poll until `done()`; fails the test after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline_s, f"{what}: not within {timeout_s} s"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class RedisServer:
    """A redis-server whose data stay in `folder` and whose port stays its own over restarts."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/0"

    @property
    def admin(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=PASSWORD)

    def launch(self, *options: str) -> None:
        """Start it; returns at once."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--requirepass", PASSWORD, "--save", "", "--logfile", "redis.log", *options]
        self.process = subprocess.Popen(command)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.launch()
        wait_until(self._answers, "redis-server answers")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, also while it is stopped."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            return bool(self.admin.ping())
        except redis.RedisError:
            return False


class SlowLink(socketserver.ThreadingTCPServer):
    """A link to a Redis on which every answer takes `delay_s` longer."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, server: RedisServer, delay_s: float) -> None:
        super().__init__(("127.0.0.1", 0), _SlowExchange)
        self.target_port, self.delay_s = server.port, delay_s
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        port: int = self.server_address[1]
        return port


class _SlowExchange(socketserver.BaseRequestHandler):
    server: SlowLink

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.target_port)) as target:
            while asked := self.request.recv(65536):
                target.sendall(asked)
                answer = target.recv(65536)
                time.sleep(self.server.delay_s)
                self.request.sendall(answer)


@dataclass
class Granian:
    """The service as it is run: one worker, four threads."""

    folder: Path
    environment: Mapping[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "lookup.log").read_text(encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(self.port)]
        command += ["--workers", "1", "--blocking-threads", "4", "lookup_app.wsgi:app"]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "ICACHE_LOOKUP_DRAIN_S": "0", **self.environment}
        with (self.folder / "lookup.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)
        wait_until(self.answers, "granian answers")

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=READY_S_MAX)
            self.process = None
