"""What the upgrade test runs beside the launcher: traffic, a reader, and a sampler of Flink's jobs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis

from feed.change_log.kafka import KafkaChangeLog
from flink_jobs.launch.release import Release, local_release
from flink_jobs.launch.release_store import ReleaseStore
from instrument_cache.change import version_of
from instrument_cache.errors import Unavailable
from instrument_cache.flink_rest import FlinkRest, stream_job_name_prefix
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import Environment, s3_settings
from local_stack.components.flink import flink_environment
from local_stack.instance import DATASET, PROJECT, Instance
from local_stack.synthetic import synthetic_cusip
from tests.servers import wait_until

GATE_S = 8
KEYS = [synthetic_cusip(number) for number in range(200)]
_REDIS_KEYS = [f"instr:{key}" for key in KEYS]


class Launcher:
    """`python -m flink_jobs.submit` in the environment that its pod has."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        own = {"ICACHE_UPGRADE_GATE_S": str(GATE_S), "ICACHE_JOB_VERSION": "1", "ICACHE_JOB_PARALLELISM": "1"}
        self._environment = {**instance.base_environment(), **flink_environment(instance), **own}
        self._log = instance.folder("log") / "submit.log"
        self._command = [str(instance.flink_python), "-m", "flink_jobs.submit"]

    def run(self, *arguments: str) -> int:
        with self._log.open("ab") as log:
            command = [*self._command, *arguments]
            return subprocess.run(command, env=self._environment, cwd=PROJECT, stdout=log, stderr=log).returncode

    def kill_at(self, event: str, *arguments: str, after_s: float = 0.0) -> None:
        """Start it and kill it with SIGKILL `after_s` seconds after it logged `event`; its lock is gone too."""
        command = [*self._command, *arguments]
        process = subprocess.Popen(command, env=self._environment, cwd=PROJECT, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            if f'"{event}"' in line:
                time.sleep(after_s)
                break
        else:
            raise AssertionError(f"the launcher ended without {event!r}")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()
        redis.Redis.from_url(self.instance.redis_url).delete(f"lock:submit:{DATASET}")

    def versions(self) -> dict[str, object]:
        done = subprocess.run(
            [*self._command, "versions"], env=self._environment, cwd=PROJECT, capture_output=True, text=True, check=True
        )
        overview: dict[str, object] = json.loads(done.stdout)
        return overview

    def publish(self, version: str, name: str, before: bytes, after: bytes) -> None:
        """This checkout's code with one replacement, under a version of its own."""
        env = Environment(self.instance.settings())
        files = dict(local_release(env).files)
        assert before in files[name], f"{name} does not hold {before!r} any more"
        files[name] = files[name].replace(before, after, 1)
        ReleaseStore(ObjectStore(s3_settings(env)), DATASET).publish(Release(version, files))

    def tail(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]


class Observer:
    """Writes changes, reads all keys, and samples Flink's jobs, until the block ends."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._stop = threading.Event()
        self.newest: dict[str, int] = {}
        self.regressions: list[str] = []
        self.samples: list[list[str]] = []

    @contextmanager
    def at_work(self) -> Iterator[None]:
        threads = [threading.Thread(target=work, daemon=True) for work in (self._write, self._read, self._sample)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(30)

    def _write(self) -> None:
        log = KafkaChangeLog(self._instance.kafka, DATASET)
        number = 0
        while not self._stop.wait(0.05):
            for _ in range(10):
                number += 1
                key, version = KEYS[number % len(KEYS)], time.time_ns() // 1000
                source = {"name": "test", "position": number, "timestamp": version, "received_at": version}
                change = {"op": "put", "version": version, "source": source, "record": {"cusip": key, "name": "x"}}
                log.write(key.encode(), json.dumps(change).encode())
                self.newest[key] = version
        log.flush()

    def _read(self) -> None:
        client = redis.Redis.from_url(self._instance.redis_url)
        seen: dict[str, int] = {}
        while not self._stop.wait(0.02):
            for key, version in _versions(client).items():
                if version < seen.get(key, 0):
                    self.regressions.append(f"{key} went from {seen[key]} to {version}")
                seen[key] = version

    def _sample(self) -> None:
        with FlinkRest(self._instance.url("flink")) as flink:
            while not self._stop.wait(0.05):
                with suppress(Unavailable):
                    living = [job for job in flink.jobs(stream_job_name_prefix(DATASET)) if not job.has_ended]
                    self.samples.append([f"{job.name} {job.job_id} {job.state}" for job in living])

    def await_newest(self) -> None:
        """Every key holds the newest version that was written."""
        client = redis.Redis.from_url(self._instance.redis_url)
        wait_until(lambda: _versions(client) == self.newest, 60, what="the newest version of every key")


def _versions(client: redis.Redis) -> dict[str, int]:
    found = client.mget(_REDIS_KEYS)
    return {key: version_of(value) for key, value in zip(KEYS, found, strict=True) if value is not None}  # type: ignore[arg-type]
