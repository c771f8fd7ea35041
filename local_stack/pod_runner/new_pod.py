"""From the body of a POST to the pod as the store keeps it: checked, named, with defaults and its first status."""

import time
import uuid
from typing import Any

from local_stack.pod_runner import events
from local_stack.pod_runner.config import RunnerConfig
from local_stack.pod_runner.lifecycle import pending_status, rfc3339
from local_stack.pod_runner.metadata import generated_name
from local_stack.pod_runner.status import Json, bad_request
from local_stack.pod_runner.validation import check_pod, unenforced_fields

GRACE_S_DEFAULT = 30
_SPEC_DEFAULTS = {
    "terminationGracePeriodSeconds": GRACE_S_DEFAULT,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "nodeName": "localhost",
}


def new_pod(body: Any, config: RunnerConfig) -> Json:
    """Return the pod that `body` asks for, or raise 400 or 422."""
    if not isinstance(body, dict):
        raise bad_request("the body is not a Pod; send a JSON object")
    check_pod(body, config)
    now = time.time()
    spec = {**_SPEC_DEFAULTS, **{field: value for field, value in body["spec"].items() if value is not None}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": _metadata(body["metadata"], config, now), "spec": spec}
    return {**pod, "status": pending_status(pod, now)}


def first_events(pod: Json) -> list[Json]:
    """Return the events of a new pod; one tells what a cluster would enforce and the runner does not."""
    image = pod["spec"]["containers"][0]["image"]
    scheduled = [
        events.normal(pod, "Scheduled", "Successfully assigned to this machine"),
        events.normal(pod, "Pulled", f"Image {image!r} is a command of this machine"),
    ]
    if fields := unenforced_fields(pod):
        scheduled.append(events.warning(pod, "NotEnforced", f"Recorded but not enforced here: {', '.join(fields)}"))
    return scheduled


def _metadata(given: Json, config: RunnerConfig, now: float) -> Json:
    return {
        "name": given.get("name") or generated_name(given["generateName"]),
        **({"generateName": given["generateName"]} if given.get("generateName") else {}),
        "namespace": config.namespace,
        "uid": str(uuid.uuid4()),
        "creationTimestamp": rfc3339(now),
        "labels": given.get("labels") or {},
        "annotations": given.get("annotations") or {},
    }
