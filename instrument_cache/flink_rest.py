"""A small client of Flink's REST API: what runs, how healthy it is, and how to stop it without losing anything.

Times are milliseconds since 1970 by the JobManager's clock, ages and durations are seconds. Every call raises
FlinkUnavailable when the JobManager does not answer, JobNotFound for an unknown job, FlinkRefused for all else.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from instrument_cache.errors import InstrumentCacheError, Unavailable
from instrument_cache.settings import Environment, environment

ENDED_STATES: Final = frozenset({"FINISHED", "CANCELED", "FAILED", "SUSPENDED"})
_SOURCE_RECORDS: Final = re.compile(r"Source__.*\.numRecordsOut$")
_PENDING_RECORDS: Final = re.compile(r"Source__.*\.pendingRecords$")
_POLL_S: Final = 0.5


class FlinkUnavailable(Unavailable):
    """The JobManager does not answer, or has no leader yet."""


class FlinkRefused(InstrumentCacheError):
    """Flink answered that it cannot do what was asked."""


class JobNotFound(FlinkRefused):
    """The JobManager does not know the job: without high availability, a restarted one has forgotten all."""


@dataclass(frozen=True, slots=True)
class ClusterOverview:
    """How much room the cluster has."""

    taskmanagers: int
    slots_total: int
    slots_free: int
    flink_version: str


@dataclass(frozen=True, slots=True)
class Job:
    """One line of the list of jobs. `now_ms` is when the JobManager made the list, or when the job ended."""

    job_id: str
    name: str
    state: str
    started_at_ms: int
    now_ms: int

    @property
    def has_ended(self) -> bool:
        """True in a state that Flink never leaves by itself."""
        return self.state in ENDED_STATES


@dataclass(frozen=True, slots=True)
class JobDetail:
    """One job. `uptime_ms` counts from its last (re)start and is 0 while it does not run.

    `restarts` comes from Flink's metrics, which are some 10 s old.
    """

    job_id: str
    name: str
    state: str
    started_at_ms: int
    uptime_ms: int
    restarts: int


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Counts since the job's start, and the newest completed checkpoint if there is one."""

    completed: int
    failed: int
    in_progress: int
    restored: int
    latest_path: str | None
    latest_completed_at_ms: int | None

    def age_s(self, job: Job) -> float:
        """Seconds since the newest completed checkpoint of `job`, or since its start while it has none."""
        return (job.now_ms - (self.latest_completed_at_ms or job.started_at_ms)) / 1000


@dataclass(frozen=True, slots=True)
class Failure:
    """When a job failed, by the JobManager's clock, and the innermost cause as one line."""

    at_ms: int
    cause: str


class FlinkRest:
    """The API behind one URL, such as http://127.0.0.1:8081. Threads may share it.

    The list of jobs is up to date; what Flink says about one job may be 3 s old (its `web.refresh-interval`).
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        # The JobManager is a neighbour: never through a proxy. Loading certificates costs time, so only for https.
        self._http = httpx.Client(base_url=url, timeout=timeout_s, trust_env=False, verify=url.startswith("https"))
        self.url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def overview(self) -> ClusterOverview:
        """TaskManagers and slots."""
        answer = self._ask("GET", "/overview")
        return ClusterOverview(
            answer["taskmanagers"], answer["slots-total"], answer["slots-available"], answer["flink-version"]
        )  # fmt: skip

    def slots_total(self) -> int:
        """Slots of all TaskManagers, taken or free."""
        return self.overview().slots_total

    def jobs(self, name_prefix: str = "") -> list[Job]:
        """The jobs whose name begins so, ended ones included, newest first."""
        jobs = [_job(entry) for entry in self._ask("GET", "/jobs/overview")["jobs"]]
        return sorted((job for job in jobs if job.name.startswith(name_prefix)), key=lambda job: -job.started_at_ms)

    def job(self, job_id: str) -> JobDetail:
        """One job in detail."""
        answer = self._ask("GET", f"/jobs/{job_id}")
        state, restarts = answer["state"], self._metrics(f"/jobs/{job_id}/metrics", "numRestarts")
        uptime_ms = answer["now"] - answer["timestamps"]["RUNNING"] if state == "RUNNING" else 0
        started_at_ms = answer["start-time"]
        return JobDetail(job_id, answer["name"], state, started_at_ms, uptime_ms, int(restarts.get("numRestarts", 0)))

    def checkpoints(self, job_id: str) -> Checkpoints:
        """Checkpoint statistics of one job. Savepoints do not count."""
        answer = self._ask("GET", f"/jobs/{job_id}/checkpoints")
        counts, latest = answer["counts"], answer["latest"]["completed"] or {}
        return Checkpoints(
            completed=counts["completed"],
            failed=counts["failed"],
            in_progress=counts["in_progress"],
            restored=counts["restored"],
            latest_path=latest.get("external_path"),
            latest_completed_at_ms=latest.get("latest_ack_timestamp"),
        )

    def source_records(self, job_id: str) -> int:
        """Records that the job's sources have emitted since its last (re)start, some 10 s ago."""
        return sum(self._source_metrics(job_id, _SOURCE_RECORDS))

    def pending_records(self, job_id: str) -> int | None:
        """Records that wait in the log for the job's sources, some 10 s ago. None while Flink does not say."""
        found = self._source_metrics(job_id, _PENDING_RECORDS)
        return sum(found) if found else None

    def _source_metrics(self, job_id: str, name: re.Pattern[str]) -> list[int]:
        vertices = self._ask("GET", f"/jobs/{job_id}")["vertices"]
        sources = [vertex["id"] for vertex in vertices if vertex["name"].startswith("Source")]
        return [value for vertex_id in sources for value in self._vertex_metrics(job_id, vertex_id, name)]

    def _vertex_metrics(self, job_id: str, vertex_id: str, name: re.Pattern[str]) -> list[int]:
        path = f"/jobs/{job_id}/vertices/{vertex_id}/subtasks/metrics"
        names = [metric["id"] for metric in self._ask("GET", path)]
        return [int(value) for value in self._metrics(path, *filter(name.match, names)).values()]

    def failure(self, job_id: str) -> str | None:
        """The innermost cause of the job's latest failure, as one line, or None if it never failed."""
        found = self.last_failure(job_id)
        return found.cause if found else None

    def last_failure(self, job_id: str) -> Failure | None:
        """The job's latest failure, also one after which it was started again; None if it never failed."""
        history = self._ask("GET", f"/jobs/{job_id}/exceptions?maxExceptions=1")["exceptionHistory"]
        for newest in history["entries"]:
            return Failure(newest.get("timestamp", 0), innermost_cause(newest["stacktrace"]))
        return None

    def stop_with_savepoint(self, job_id: str, *, folder: str | None = None, timeout_s: float = 120.0) -> str:
        """Stop the job once its savepoint is complete and return the savepoint's path.

        `folder` is where it goes (default: the cluster's setting). Raises FlinkRefused, with Flink's reason, if the
        savepoint fails (the job then goes on) or is not complete in time (it may still become so).
        """
        request = self.start_savepoint_and_stop(job_id, folder=folder)
        deadline = time.monotonic() + timeout_s
        while (path := self.savepoint_path(job_id, request)) is None:
            if time.monotonic() > deadline:
                late = f"the savepoint of job {job_id} is not complete after {timeout_s:g} s"
                raise FlinkRefused(f"{late}; it may still become so, {self.url} shows it")
            time.sleep(_POLL_S)
        return path

    def start_savepoint_and_stop(self, job_id: str, *, folder: str | None = None) -> str:
        """Ask for stop-with-savepoint and return the request id, with which `savepoint_path` looks after it."""
        body = {"drain": False, **({"targetDirectory": folder} if folder else {})}
        return str(self._ask("POST", f"/jobs/{job_id}/stop", json=body)["request-id"])

    def savepoint_path(self, job_id: str, request_id: str) -> str | None:
        """Where the savepoint lies, or None while it is being made. Raises FlinkRefused if it failed."""
        answer = self._ask("GET", f"/jobs/{job_id}/savepoints/{request_id}")
        if answer["status"]["id"] != "COMPLETED":
            return None
        operation = answer["operation"]
        if "failure-cause" in operation:
            cause = innermost_cause(operation["failure-cause"]["stack-trace"])
            raise FlinkRefused(f"the savepoint of job {job_id} failed: {cause}")
        return str(operation["location"])

    def cancel(self, job_id: str) -> None:
        """Ask for the job's end without a savepoint; its retained checkpoint stays. It does not wait."""
        self._ask("PATCH", f"/jobs/{job_id}?mode=cancel")

    def _metrics(self, path: str, *names: str) -> dict[str, float]:
        """Values by name; what Flink does not know (yet) is absent."""
        if not names:
            return {}
        answer = self._ask("GET", path, params={"get": ",".join(names)})
        return {metric["id"]: float(metric.get("value", metric.get("sum", 0))) for metric in answer}

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._http.request(method, path, **options)
            body = answer.json() if answer.content else None
        except (httpx.HTTPError, ValueError) as error:
            raise FlinkUnavailable(f"Flink at {self.url} does not answer: {error or type(error).__name__}") from None
        if answer.is_success:
            return body
        raise _refusal(self.url, answer.status_code, body)


def _job(entry: Mapping[str, Any]) -> Job:
    started_at_ms = entry["start-time"]
    return Job(entry["jid"], entry["name"], entry["state"], started_at_ms, started_at_ms + entry["duration"])


def _refusal(url: str, status: int, body: Any) -> InstrumentCacheError:
    errors = body.get("errors", []) if isinstance(body, dict) else []
    reason = innermost_cause(errors[-1]) if errors else f"HTTP status {status}"
    if status in (502, 503, 504):  # no leader yet, or a proxy in front of a JobManager that is away
        return FlinkUnavailable(f"Flink at {url} is not ready: {reason}")
    return (JobNotFound if status == 404 else FlinkRefused)(f"Flink at {url} refused: {reason}")


def innermost_cause(stack_trace: str) -> str:
    """The last `Caused by:` of a Java stack trace, or its first line, without the package of the exception.

    Where a Python worker failed, the last line of its traceback.
    """
    _, traceback, python = stack_trace.rpartition("Traceback (most recent call last):\n")
    if traceback and (said := re.split(r"\n\s*\n|\n\tat ", python)[0].strip()):
        return said.splitlines()[-1]
    lines = stack_trace.strip().splitlines() or [""]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return re.sub(r"^(?:[a-z]\w*\.)+", "", causes[-1] if causes else lines[0])


def flink_rest(env: Environment | None = None) -> FlinkRest:
    """The cluster of this deployment (ICACHE_FLINK_URL)."""
    return FlinkRest((env or environment()).text("ICACHE_FLINK_URL", "http://127.0.0.1:8081"))


def job_version(env: Environment | None = None) -> str:
    """The version of the streaming job that should run (ICACHE_JOB_VERSION)."""
    return (env or environment()).text("ICACHE_JOB_VERSION", "1")


def stream_job_name_prefix(dataset: str) -> str:
    """What the names of a dataset's jobs of every version begin with."""
    return f"instrument-cache.{dataset}.v"


def job_name(dataset: str, version: str) -> str:
    """The name under which Flink runs one version of a dataset's job."""
    return stream_job_name_prefix(dataset) + version
