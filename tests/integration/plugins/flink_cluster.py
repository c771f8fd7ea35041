"""A real standalone Flink cluster on free ports, with checkpoints on the local disk, and tiny jobs for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Self

import yaml

from instrument_cache.flink_rest import FlinkRest
from tests.servers import free_port, process, wait_until

PROJECT = Path(__file__).resolve().parents[3]
TOOLS = Path(os.environ.get("ICACHE_TOOLS") or PROJECT / ".tools")
SUBMITTER = Path(__file__).with_name("tiny_jobs.py")


class FlinkCluster:
    """One JobManager and one TaskManager with four slots, between `with` and its end."""

    def __init__(self, folder: Path) -> None:
        self._home = next((TOOLS / "flink" / "lib").glob("python3.*/site-packages/pyflink"))
        self._folder = folder
        self._rest_port, self._rpc_port = free_port(), free_port()
        self._processes = ExitStack()
        self._job_manager: AbstractContextManager[int] | None = None
        self._submitter: subprocess.Popen[str] | None = None
        self.url = f"http://127.0.0.1:{self._rest_port}"
        self.rest = FlinkRest(self.url)

    def __enter__(self) -> Self:
        self._configure()
        self.start_job_manager()
        self._processes.enter_context(self._start("taskmanager"))
        self._submitter = self._processes.enter_context(self._start_submitter())
        wait_until(lambda: self.rest.slots_total() == 4, 120, what="the TaskManager")
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.close()
        self.kill_job_manager()
        self.rest.close()

    def start_job_manager(self) -> None:
        """Returns when it answers."""
        self._job_manager = self._start("jobmanager")
        self._job_manager.__enter__()
        wait_until(self.rest.overview, 120, what="the JobManager")

    def kill_job_manager(self) -> None:
        """With SIGKILL. It forgets its jobs: there is no high availability here."""
        if self._job_manager is not None:
            self._job_manager.__exit__(None, None, None)
            self._job_manager = None

    def submit(self, name: str, *, body: str = "n", **options: str) -> str:
        """Start a job that evaluates `body` over 100 numbers `n` per second; returns its id once it is deployed.

        `options` are Flink's, with `__` for a dot, as in `execution__checkpointing__interval="1h"`.
        """
        own = {key.replace("__", "."): value for key, value in options.items()}
        order = {"name": name, "body": body, "options": {**self._client_settings(), **own}}
        assert self._submitter is not None, "submit inside the with block"
        assert self._submitter.stdin is not None
        assert self._submitter.stdout is not None
        self._submitter.stdin.write(json.dumps(order) + "\n")
        self._submitter.stdin.flush()
        job_id = self._submitter.stdout.readline().strip()
        assert job_id, (self._folder / "submit.log").read_text()
        wait_until(lambda: self.rest.job(job_id).state != "INITIALIZING", 60, what=f"job {job_id}")
        return job_id

    def await_running(self, job_id: str) -> None:
        """Returns when all is deployed and one checkpoint is complete."""
        wait_until(lambda: self.rest.checkpoints(job_id).completed > 0, 60, what=f"a checkpoint of job {job_id}")

    def cancel_all(self) -> None:
        """Returns when nothing runs."""
        for job in self.rest.jobs():
            if not job.has_ended:
                self.rest.cancel(job.job_id)
        wait_until(lambda: all(job.has_ended for job in self.rest.jobs()), 60, what="the end of all jobs")

    def _start(self, part: str) -> AbstractContextManager[int]:
        command = [str(self._home / "bin" / f"{part}.sh"), "start-foreground"]
        return process(command, self._environment(), self._folder / f"{part}.log")

    @contextmanager
    def _start_submitter(self) -> Iterator[subprocess.Popen[str]]:
        command = [str(TOOLS / "flink" / "bin" / "python"), str(SUBMITTER)]
        with (self._folder / "submit.log").open("w") as log:
            child = subprocess.Popen(
                command,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        try:
            yield child
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def _environment(self) -> dict[str, str]:
        path = f"{TOOLS / 'flink' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        folders = {"FLINK_CONF_DIR": str(self._folder / "conf"), "FLINK_LOG_DIR": str(self._folder)}
        return {**os.environ, **folders, "PATH": path}

    def _configure(self) -> None:
        shutil.copytree(self._home / "conf", self._folder / "conf")
        path = self._folder / "conf" / "config.yaml"
        java_options = yaml.safe_load(path.read_text())["env"]["java"]["opts"]["all"]
        path.write_text(yaml.safe_dump({**self._settings(), "env.java.opts.all": java_options}))

    def _client_settings(self) -> dict[str, str]:
        prefixes = ("rest.", "execution.", "restart-strategy.", "parallelism.")
        return {key: str(value) for key, value in self._settings().items() if key.startswith(prefixes)}

    def _settings(self) -> dict[str, object]:
        state = f"file://{self._folder}/state"
        return {
            "jobmanager.rpc.address": "127.0.0.1",
            "jobmanager.bind-host": "127.0.0.1",
            "jobmanager.rpc.port": self._rpc_port,
            "jobmanager.memory.process.size": "900m",
            "rest.address": "127.0.0.1",
            "rest.bind-address": "127.0.0.1",
            "rest.port": self._rest_port,
            "taskmanager.host": "127.0.0.1",
            "taskmanager.bind-host": "127.0.0.1",
            "taskmanager.numberOfTaskSlots": 4,
            "taskmanager.memory.process.size": "1000m",
            "taskmanager.memory.managed.size": "32m",
            "parallelism.default": 1,
            "execution.checkpointing.interval": "1 s",
            "execution.checkpointing.dir": state,
            "execution.checkpointing.savepoint-dir": state,
            "metrics.fetcher.update-interval": "500 ms",
            "restart-strategy.type": "none",
        }
