"""What a launcher does to Flink: submit a release with its own code, await it, stop it, cancel it."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from flink_jobs.launch.release import Release, unpack
from flink_jobs.launch.wanted import Run
from instrument_cache.errors import InstrumentCacheError, Unavailable
from instrument_cache.flink_rest import FlinkRest, FlinkUnavailable, Job, stream_job_name_prefix

logger = structlog.get_logger()

_CLUSTER_TIMEOUT_S: Final = 60.0
_SUBMIT_TIMEOUT_S: Final = 180.0
_RUNNING_TIMEOUT_S: Final = 90.0
_SAVEPOINT_TIMEOUT_S: Final = 60.0
_IMPORT_TIMEOUT_S: Final = 90.0
_POLL_S: Final = 0.5
_PR_SET_PDEATHSIG: Final = 1
# What every release can do: its job imports, and its contract loads.
_CHECK: Final = """
import flink_jobs.job
from instrument_cache.contract import load_contract
from instrument_cache.settings import contract_path
load_contract(contract_path())
"""


class JobEnded(InstrumentCacheError):
    """A job that was started did not come to run."""


class Cluster:
    """The jobs of one dataset on one Flink cluster."""

    def __init__(self, rest: FlinkRest, dataset: str) -> None:
        self.rest = rest
        self._dataset = dataset
        self._prefix = stream_job_name_prefix(dataset)

    def await_ready(self) -> None:
        """Raises FlinkUnavailable if no TaskManager comes within a minute."""
        deadline = time.monotonic() + _CLUSTER_TIMEOUT_S
        while True:
            try:
                if self.rest.slots_total() > 0:
                    return
            except FlinkUnavailable:
                if time.monotonic() > deadline:
                    raise
            if time.monotonic() > deadline:
                raise FlinkUnavailable(f"Flink at {self.rest.url} has no TaskManager; start one and try again")
            time.sleep(_POLL_S)

    def living(self) -> list[Job]:
        """Jobs of the dataset that have not ended, newest first."""
        return [job for job in self.rest.jobs(self._prefix) if not job.has_ended]

    def knows(self, job_id: str) -> bool:
        """True for a job that lives, or that ended not long ago."""
        return any(job.job_id == job_id for job in self.rest.jobs())

    def stop(self, job: Job, folder: str) -> None:
        """With a savepoint; a job that cannot make one is cancelled, and its retained checkpoint stays."""
        try:
            path = self.rest.stop_with_savepoint(job.job_id, folder=folder, timeout_s=_SAVEPOINT_TIMEOUT_S)
            logger.info("job_stopped", job=job.job_id, name=job.name, savepoint=path)
        except FlinkUnavailable:
            raise
        except InstrumentCacheError as error:
            logger.warning("savepoint_failed", job=job.job_id, error=str(error), action="cancel")
            self._cancel(job.job_id)
        self._await_end(job.job_id)

    def end(self, job_id: str) -> None:
        """Cancel a job whose further state nobody wants. One that has ended, or was never there, is no error."""
        if any(job.job_id == job_id for job in self.living()):
            self._cancel(job_id)
            self._await_end(job_id)
            logger.info("job_cancelled", job=job_id)

    def start(self, run: Run, release: Release, checkpoints: str, restore_path: str | None) -> Job:
        """`flink run`, detached, and wait until the job runs. Raises JobEnded; then nothing of it is left."""
        try:
            self._submit(run, release, checkpoints, restore_path)
            return self.await_running(run.job_id)
        except JobEnded:
            self.end(run.job_id)
            raise

    def await_running(self, job_id: str) -> Job:
        deadline = time.monotonic() + _RUNNING_TIMEOUT_S
        while time.monotonic() < deadline:
            job = next((job for job in self.rest.jobs() if job.job_id == job_id), None)
            if job is None:
                raise JobEnded(f"Flink does not know job {job_id} any more; its JobManager was started anew")
            if job.has_ended:
                raise JobEnded(f"job {job_id} ended as {job.state}: {self.rest.failure(job_id)}")
            if job.state == "RUNNING":
                return job
            time.sleep(_POLL_S)
        raise JobEnded(f"job {job_id} did not run within {_RUNNING_TIMEOUT_S} s: {self.rest.failure(job_id)}")

    def check(self, release: Release) -> None:
        """Import the release's job in a Python of its own. Raises JobEnded with the error if that fails."""
        with _unpacked(release.shipped(self._dataset)) as folder:
            try:
                done = _run([sys.executable, "-c", _CHECK], folder, release, timeout_s=_IMPORT_TIMEOUT_S, capture=True)
            except subprocess.TimeoutExpired:
                raise JobEnded(f"release {release.version!r} did not import within {_IMPORT_TIMEOUT_S} s") from None
        if done.returncode:
            cause = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise JobEnded(f"release {release.version!r} does not import: {cause}")

    def _submit(self, run: Run, release: Release, checkpoints: str, restore_path: str | None) -> None:
        logger.info("submitting", job=run.job_id, release=run.release, restore_point=restore_path)
        shipped = release.shipped(self._dataset)
        with _unpacked(shipped) as folder:
            archive = folder.with_name("release.zip")
            archive.write_bytes(shipped.archive())
            command = flink_run(self.rest.url, run, archive, checkpoints, restore_path)
            try:
                code = _run(command, folder, release, timeout_s=_SUBMIT_TIMEOUT_S).returncode
            except subprocess.TimeoutExpired:
                raise JobEnded(f"`flink run` did not end within {_SUBMIT_TIMEOUT_S} s; it was killed") from None
        if not self.knows(run.job_id):
            raise JobEnded(f"`flink run` ended with exit code {code} and started no job; its output is above")

    def _cancel(self, job_id: str) -> None:
        try:
            self.rest.cancel(job_id)
        except FlinkUnavailable:
            raise
        except InstrumentCacheError as error:  # it ended by itself meanwhile
            logger.info("cancel_refused", job=job_id, error=str(error))

    def _await_end(self, job_id: str) -> None:
        deadline = time.monotonic() + _RUNNING_TIMEOUT_S
        while any(job.job_id == job_id for job in self.living()):
            if time.monotonic() > deadline:
                raise Unavailable(f"job {job_id} did not end within {_RUNNING_TIMEOUT_S} s; cancel it in Flink's page")
            time.sleep(_POLL_S)


def flink_run(url: str, run: Run, archive: Path, checkpoints: str, restore_path: str | None) -> list[str]:
    """The command that submits a release to the cluster at `url`.

    `pyFiles` puts the release first on the workers' import path. But `python -m`, with which a worker starts, looks
    into its working directory before that, and this is the TaskManager's, which may hold other code. `pyArchives`
    gives the workers a working directory of their own.

    Flink refuses a second job of the same id: a submission that was slow and comes after all finds its job there.
    """
    restore = ["--fromSavepoint", restore_path] if restore_path else []
    parallelism = ["--parallelism", str(run.parallelism)] if run.parallelism else []
    return [
        *(str(_flink_home() / "bin" / "flink"), "run", "--detached", "--jobmanager", url.removeprefix("http://")),
        *(*restore, *parallelism),
        f"-D$internal.pipeline.job-id={run.job_id}",
        f"-Dexecution.checkpointing.dir={checkpoints}",
        *("--pyClientExecutable", sys.executable, "--pyFiles", str(archive), "--pyArchives", f"{archive}#release"),
        *("--pyModule", "flink_jobs.job"),
    ]


def _flink_home() -> Path:
    if home := os.environ.get("FLINK_HOME"):
        return Path(home)
    wheel = importlib.util.find_spec("pyflink")
    if wheel is None or wheel.origin is None:
        raise InstrumentCacheError("this Python has no Flink; set FLINK_HOME, or use the Flink environment's Python")
    return Path(wheel.origin).parent


@contextmanager
def _unpacked(release: Release) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="icache-release-") as scratch:
        folder = Path(scratch) / "code"
        folder.mkdir()
        unpack(release, folder)
        yield folder


def _run(
    command: list[str], folder: Path, release: Release, *, timeout_s: float, capture: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run in the release's folder, with its code first on the import path and its name as the job's version.

    It dies with this process: a submission whose launcher was killed must not come late.
    """
    environment = {**os.environ, "PYTHONPATH": str(folder), "ICACHE_JOB_VERSION": release.version}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        timeout=timeout_s,
        check=False,
        capture_output=capture,
        text=True,
        preexec_fn=_die_with_parent(os.getpid()),
    )


def _die_with_parent(parent: int) -> Callable[[], None]:
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def set_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return set_signal
