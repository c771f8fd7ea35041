"""The status of a pod from creation to its end, as kubelet reports it. Pure functions: pod in, status out."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from local_stack.pod_runner.status import Json

TERMINAL_PHASES = ("Succeeded", "Failed")
LOST_EXIT_CODE = 137
_HOST = "127.0.0.1"


class Outcome(NamedTuple):
    """How a pod's process ended; times are seconds since the epoch."""

    exit_code: int
    reason: str  # of the container: Completed, Error, StartError or Lost
    started_at: float
    finished_at: float
    message: str = ""
    signal: int | None = None


class Verdict(NamedTuple):
    """Why the runner itself ended a pod: it is Failed then, whatever its exit code."""

    reason: str
    message: str


DEADLINE_EXCEEDED = Verdict("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
TERMINATED = Verdict("Terminated", "Pod was terminated because the local pod runner was stopped")


def rfc3339(moment_s: float) -> str:
    """Format a time as Kubernetes does in objects: UTC, whole seconds."""
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(timestamp: str) -> float:
    """Return the seconds since the epoch of a time that `rfc3339` wrote."""
    return datetime.fromisoformat(timestamp).timestamp()


def is_finished(pod: Json) -> bool:
    """Say whether the pod has reached its last phase."""
    return pod["status"]["phase"] in TERMINAL_PHASES


def finished_at(pod: Json) -> str:
    """Return when a finished pod ended, in a form that sorts by time."""
    return str(pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"])


def pending_status(pod: Json, created_at: float) -> Json:
    """Return the status of a pod that was accepted and not yet started."""
    state = {"waiting": {"reason": "ContainerCreating"}}
    container = _container_status(pod, state, started=False)
    return _status("Pending", ("PodScheduled", "Initialized"), created_at, container)


def running_status(pod: Json, started_at: float, pid: int) -> Json:
    """Return the status of a pod whose process runs."""
    state = {"running": {"startedAt": rfc3339(started_at)}}
    container = _container_status(pod, state, started=True) | {"containerID": f"process://{pid}"}
    conditions = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    return _status("Running", conditions, _start_of(pod), container)


def finished_status(pod: Json, outcome: Outcome, verdict: Verdict | None) -> Json:
    """Return the final status; a verdict of the runner makes the pod Failed."""
    terminated = {
        "exitCode": outcome.exit_code,
        "reason": outcome.reason,
        "startedAt": rfc3339(outcome.started_at),
        "finishedAt": rfc3339(outcome.finished_at),
        **({"signal": outcome.signal} if outcome.signal else {}),
        **({"message": outcome.message} if outcome.message else {}),
    }
    container = _container_status(pod, {"terminated": terminated}, started=False)
    phase = "Failed" if verdict or outcome.exit_code else "Succeeded"
    status = _status(phase, ("PodScheduled", "Initialized"), _start_of(pod), container)
    return status | ({"reason": verdict.reason, "message": verdict.message} if verdict else {})


def _start_of(pod: Json) -> float:
    return seconds(pod["status"]["startTime"])


def _status(phase: str, true_conditions: Sequence[str], start_s: float, container: Json) -> Json:
    start = rfc3339(start_s)
    conditions = [
        {"type": kind, "status": str(kind in true_conditions), "lastProbeTime": None, "lastTransitionTime": start}
        for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    return {
        "phase": phase,
        "conditions": conditions,
        "hostIP": _HOST,
        "podIP": _HOST,
        "podIPs": [{"ip": _HOST}],
        "startTime": start,
        "containerStatuses": [container],
        "qosClass": "BestEffort",
    }


def _container_status(pod: Json, state: Json, *, started: bool) -> Json:
    container = pod["spec"]["containers"][0]
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": f"local://{container['image']}",
        "state": state,
        "lastState": {},
        "ready": started,
        "started": started,
        "restartCount": 0,
    }
