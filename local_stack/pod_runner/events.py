"""Kubernetes events about a pod: what the operator logs while it waits, and shows when a pod fails."""

import secrets
import time
import uuid

from local_stack.pod_runner.lifecycle import rfc3339
from local_stack.pod_runner.status import Json

COMPONENT = "local-pod-runner"


def normal(pod: Json, reason: str, message: str) -> Json:
    """Return an event that tells progress."""
    return _event(pod, "Normal", reason, message)


def warning(pod: Json, reason: str, message: str) -> Json:
    """Return an event that tells a fault or a limit."""
    return _event(pod, "Warning", reason, message)


def _event(pod: Json, kind: str, reason: str, message: str) -> Json:
    metadata, now = pod["metadata"], rfc3339(time.time())
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{secrets.token_hex(8)}",
            "namespace": metadata["namespace"],
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now,
        },
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "fieldPath": f"spec.containers{{{pod['spec']['containers'][0]['name']}}}",
        },
        "type": kind,
        "reason": reason,
        "message": message,
        "source": {"component": COMPONENT, "host": "localhost"},
        "reportingComponent": COMPONENT,
        "reportingInstance": "localhost",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
