"""A whole stack of its own for the end-to-end and fault tests, and what the tests ask of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from instrument_cache.change import is_tombstone, stored_value
from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract, load_contract
from instrument_cache.errors import IdentifierError
from instrument_cache.flink_rest import FlinkRest, stream_job_name_prefix
from instrument_cache.identifiers import check_cusip
from instrument_cache.projection import projector
from instrument_cache.settings import Environment
from instrument_cache.source.interface import Put, Source
from instrument_cache.source.registry import open_source
from instrument_cache.store.redis import RedisStore
from local_stack.instance import DATASET, PROJECT, Instance
from local_stack.processes import end, is_running, marked
from local_stack.stack import component
from local_stack.supervisor import Supervisor
from local_stack.up import await_applied, start, stop_all
from tests.servers import free_port_offset, wait_until

CONTRACT: Contract = load_contract(PROJECT / "contracts" / "instruments.yaml")
PROJECT_ROW = projector(CONTRACT)


class Stack:
    """One instance, driven as a user drives it: through `./icache`, REST and the source."""

    def __init__(self, home: Path, port_offset: int) -> None:
        self.home, self.port_offset = home, port_offset
        self.instance = Instance(home=home, tools=Instance.from_environment().tools, port_offset=port_offset)
        self._http = httpx.Client(timeout=5.0)

    def cli(self, *arguments: str, timeout_s: float = 60.0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `./icache …` on this instance."""
        own = {"ICACHE_HOME": str(self.home), "ICACHE_PORT_OFFSET": str(self.port_offset)}
        return subprocess.run(
            [str(PROJECT / "icache"), *arguments],
            env={**os.environ, "ICACHE_TOOLS": str(self.instance.tools), **own, **environment},
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def up(self, *arguments: str) -> str:
        """`icache up`; the test fails with its output if it does."""
        done = self.cli("up", *arguments, timeout_s=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def source(self) -> Source:
        settings = self.instance.settings()
        return open_source(settings["ICACHE_SOURCE_URL"], Environment(settings))

    @property
    def store(self) -> RedisStore:
        return RedisStore(redis_client(self.instance.redis_url, name="test"), DATASET)

    @property
    def flink(self) -> FlinkRest:
        return FlinkRest(self.instance.url("flink"))

    def get(self, path: str) -> httpx.Response:
        """GET from the lookup service."""
        return self._http.get(self.instance.url("lookup") + path)

    def status(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.cli("status", "--json").stdout)
        return report

    def jobs(self) -> list[str]:
        """Ids of the dataset's jobs that have not ended."""
        return [job.job_id for job in self.flink.jobs(stream_job_name_prefix(DATASET)) if not job.has_ended]

    def job_runs(self) -> bool:
        with suppress(Exception):
            return [job.state for job in self.flink.jobs(stream_job_name_prefix(DATASET)) if not job.has_ended] == [
                "RUNNING"
            ]
        return False

    def settle(self, timeout_s: float = 180.0) -> None:
        """Wait until exactly one job runs and everything that the source holds is applied."""
        wait_until(self.job_runs, timeout_s, what="one running job")
        await_applied(self.instance, timeout_s)

    def expected(self) -> dict[str, bytes]:
        """What the cache must hold, worked out from the source alone: key → stored bytes of every valid row."""
        rows = {}
        for event in self.source.snapshot():
            if isinstance(event, Put) and (stored := _expected_bytes(event)):
                rows[f"{CONTRACT.key_prefix}:{event.key}"] = stored
        return rows

    def cached(self) -> dict[str, bytes]:
        """What the cache holds, without tombstones."""
        return {key: value for key, value in self.store.scan(CONTRACT.key_prefix) if not is_tombstone(value)}

    def differences(self) -> dict[str, list[str]]:
        """Keys that are missing, stale (other bytes) or extra in the cache."""
        expected, cached = self.expected(), self.cached()
        return {
            "missing": sorted(expected.keys() - cached.keys()),
            "extra": sorted(cached.keys() - expected.keys()),
            "stale": sorted(key for key in expected.keys() & cached.keys() if expected[key] != cached[key]),
        }

    def assert_equal_to_source(self) -> None:
        assert self.differences() == {"missing": [], "extra": [], "stale": []}

    def processes(self) -> set[int]:
        """Every process that the stack started: by its mark, and by the session of its supervisor."""
        return marked(str(self.home)) | self._of_session()

    def assert_all_are_marked(self) -> None:
        """A process that hides its mark could be left behind. One that just begins or ends is looked at again."""
        wait_until(lambda: not self._of_session() - marked(str(self.home)), 10, what="a mark on every process")

    def _of_session(self) -> set[int]:
        session = int((self.home / "run" / "supervisord.pid").read_text())
        return {pid for pid in _all_pids() if _session_of(pid) == session and is_running(pid)}


def _expected_bytes(event: Put) -> bytes | None:
    try:
        check_cusip(event.key)
        version = json.loads(event.payload).get("last_updated") or event.timestamp_us
        if len(event.payload) > CONTRACT.record_bytes_max:
            return None
        return stored_value(version, PROJECT_ROW(event.payload, version))
    except (IdentifierError, ValueError):
        return None


def _all_pids() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def _session_of(pid: int) -> int:
    with suppress(OSError):
        return os.getsid(pid)
    return 0


@contextmanager
def running_stack() -> Iterator[Stack]:
    """A stack in a new folder on free ports; nothing of it is left. ICACHE_TEST_KEEP keeps its logs."""
    home = Path(tempfile.mkdtemp(prefix="icache-"))
    stack = Stack(home, free_port_offset())
    try:
        yield stack
    finally:
        started = time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            stack.cli("down")
        end(marked(str(home)), grace_s=0.0)
        if not os.environ.get("ICACHE_TEST_KEEP"):
            shutil.rmtree(home, ignore_errors=True)
        print(f"stack in {home} ended after {time.monotonic() - started:.1f} s")


@contextmanager
def running_parts(*names: str) -> Iterator[Instance]:
    """Some parts of a stack by themselves, in the order given."""
    home = Path(tempfile.mkdtemp(prefix="icache-"))
    instance = Instance(home, Instance.from_environment().tools, free_port_offset())
    try:
        instance.make_secrets()
        supervisor = Supervisor(instance)
        supervisor.ensure(component(name) for name in names)
        for name in names:
            start(instance, supervisor, component(name))
        yield instance
    finally:
        stop_all(instance)
        shutil.rmtree(home, ignore_errors=True)
