"""A log, an applier that works like the job, the change stream's process, and listeners."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from confluent_kafka import TopicPartition

from feed.change_log.kafka import KafkaChangeLog
from instrument_cache.batch import BatchApplier
from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.kafka import make_consumer
from instrument_cache.store.redis import RedisStore
from local_stack.instance import PROJECT
from local_stack.synthetic import synthetic_cusip
from tests.servers import free_port, wait_until

PARTITIONS = 4


def change(key: str, version: int, op: str = "put") -> bytes:
    record: dict[str, Any] = {"cusip": key, "name": f"state {version}"} if op == "put" else {"cusip": key}
    source = {"name": "test", "position": 1, "timestamp": version, "received_at": version}
    return json.dumps({"op": op, "version": version, "source": source, "record": record}).encode()


def now_us() -> int:
    return time.time_ns() // 1000


class Applier:
    """Does with a topic what the job does, in a thread."""

    def __init__(self, bootstrap: str, redis_url: str, contract: Path) -> None:
        loaded = load_contract(contract)
        self.store = RedisStore(redis_client(redis_url, name="applier"), loaded.dataset)
        self._applier = BatchApplier(loaded, self.store, retry_s=60)
        self._consumer = make_consumer(bootstrap, "applier")
        self._consumer.assign([TopicPartition(loaded.dataset, at, 0) for at in range(PARTITIONS)])
        self._turn = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            with self._turn:
                self._apply([found for found in self._consumer.consume(1000, timeout=0.02) if found.error() is None])
            time.sleep(0.001)  # a lock is not fair

    def _apply(self, batch: list[Any]) -> None:
        if batch:
            values = [found.value() for found in batch]
            self._applier.apply(values, [found.partition() for found in batch], [found.offset() for found in batch])

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is applied within."""
        with self._turn:
            yield

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        self._consumer.close()


@dataclass
class Process:
    """The change stream as it is run."""

    environment: Mapping[str, str]
    log: Path
    module: str = "lookup_app.changes"
    port: int = field(default_factory=free_port)
    options: list[str] = field(default_factory=list)
    child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Process:
        command = [sys.executable, "-m", self.module, "--port", str(self.port), *self.options]
        with self.log.open("ab") as log:
            environment = {**os.environ, "PYTHONPATH": str(PROJECT), "ICACHE_LOOKUP_DRAIN_S": "0", **self.environment}
            self.child = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)
        return self

    def wait_ready(self, timeout_s: float = 30) -> Process:
        wait_until(lambda: httpx.get(self.url + "/readyz").status_code == 200, timeout_s, "the change stream")
        return self

    def signal(self, number: signal.Signals) -> None:
        assert self.child is not None
        self.child.send_signal(number)

    def wait(self) -> int:
        assert self.child is not None
        return self.child.wait(30)

    def metric(self, name: str, dataset: str) -> float:
        for line in httpx.get(self.url + "/metrics").text.splitlines():
            if line.startswith(f'instrument_cache_changes_{name}{{dataset="{dataset}"}}'):
                return float(line.split()[-1])
        raise AssertionError(f"no metric {name}")

    def kill(self) -> None:
        if self.child is not None and self.child.poll() is None:
            self.child.kill()
            self.child.wait()


@dataclass
class Event:
    id: str
    kind: str
    data: dict[str, Any]


class Listener:
    """A listener on a socket of its own, read by a thread; `last_id` is where it would resume."""

    def __init__(self, url: str, last_id: str = "", headers: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(url)
        self.events: list[Event] = []
        self.last_id = last_id
        self.ended = threading.Event()
        self.status = 0
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 0))
        sent = {"Host": "x", **({"Last-Event-ID": last_id} if last_id else {}), **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        self._socket.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\n{lines}\r\n".encode())
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._socket.makefile("rb") as lines:
            try:
                self.status = int(lines.readline().split()[1])
                while lines.readline().strip():
                    pass
                self._read_events(lines)
            except (OSError, ValueError, IndexError):
                pass
        self.ended.set()

    def _read_events(self, lines: Any) -> None:
        fields: dict[str, str] = {}
        for raw in lines:
            line = raw.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            self.last_id = fields.get("id", self.last_id)
            if "data" in fields:
                self.events.append(Event(self.last_id, fields["event"], json.loads(fields["data"])))
            fields = {}

    @property
    def state(self) -> dict[str, Any]:
        """What this listener believes: key → version of the newest event."""
        return {event.data["id"]: event.data for event in self.events if event.kind in ("put", "delete")}

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def close(self) -> None:
        self._socket.close()
        self._thread.join(0)

    def cut(self) -> Listener:
        """End the connection as a broken network does, and wait until the reader has seen it."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()
        return self


@dataclass
class World:
    """One dataset with a topic of its own."""

    bootstrap: str
    redis_url: str
    dataset: str
    contracts: Path
    folder: Path
    applier: Applier
    writer: KafkaChangeLog
    processes: list[Process] = field(default_factory=list)
    numbers: int = 0

    @property
    def environment(self) -> dict[str, str]:
        return {
            "ICACHE_REDIS_URL": self.redis_url,
            "ICACHE_KAFKA_BOOTSTRAP": self.bootstrap,
            "ICACHE_DATASET": self.dataset,
            "ICACHE_CONTRACTS": str(self.contracts),
        }

    def process(self, **environment: str) -> Process:
        """A change stream that is ready."""
        log = self.folder / f"changes-{len(self.processes)}.log"
        process = Process({**self.environment, **environment}, log)
        self.processes.append(process)
        return process.start().wait_ready()

    def url(self, process: Process, query: str = "") -> str:
        return f"{process.url}/v1/{self.dataset}/changes?{query}"

    def put(self, *numbers: int, op: str = "put") -> int:
        """A change of each instrument; returns the version, newer than all before."""
        version = now_us()
        for number in numbers:
            key = synthetic_cusip(number)
            self.writer.write(key.encode(), change(key, version, op))
        self.writer.flush()
        return version

    def stored(self) -> dict[str, int]:
        """Key → version of all that the cache holds, deletions included."""
        found = self.applier.store.scan(f"k{self.dataset}")
        return {key.partition(":")[2]: int(value[5:21]) for key, value in found}

    def has_all(self, listener: Listener) -> bool:
        """The listener knows the newest version of every instrument."""
        return {key: data["version"] for key, data in listener.state.items()} == self.stored()
