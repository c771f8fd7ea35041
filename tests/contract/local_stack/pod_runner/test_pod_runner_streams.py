"""Logs, events and watches through the real synchronous client."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiException
from kubernetes.watch import Watch

NAMESPACE = "test"
Pods = Any


def test_log_as_a_whole(pods: Pods) -> None:
    pods.create("whole", r"echo out; echo err >&2; printf '\377partial'")
    pods.await_end("whole")
    assert pods.log("whole", container="base") == "out\nerr\n\\xffpartial"


def test_log_with_time_stamps_tail_and_limit(pods: Pods) -> None:
    pods.create("lines", "for i in 1 2 3; do echo line $i; done")
    pods.await_end("lines")
    stamped = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line \d\n"
    assert re.fullmatch(f"({stamped}){{3}}", pods.log("lines", timestamps=True))
    assert pods.log("lines", tail_lines=1) == "line 3\n"
    assert pods.log("lines", limit_bytes=8) == "line 1\nl"
    assert pods.log("lines", since_seconds=600) == "line 1\nline 2\nline 3\n"


def test_log_since_leaves_out_what_is_older(pods: Pods) -> None:
    pods.create("aged", "echo early; sleep 3.2; echo late")
    pods.await_end("aged")
    assert pods.log("aged", since_seconds=3) == "late\n"


def test_log_is_followed_as_it_is_written(pods: Pods, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    pods.create("followed", f"echo first; while [ ! -e {gate} ]; do sleep 0.05; done; printf last; exit 3")
    pods.await_phase("followed", "Running")
    answer = pods.api.read_namespaced_pod_log("followed", NAMESPACE, follow=True, _preload_content=False)
    chunks = answer.stream(amt=None)
    assert next(chunks) == b"first\n"
    gate.touch()
    assert b"".join(chunks) == b"last"
    assert pods.await_end("followed").status.container_statuses[0].state.terminated.exit_code == 3


def test_follow_ends_when_the_pod_is_deleted(pods: Pods) -> None:
    pods.create("cut", "echo first; exec sleep 600")
    pods.await_log("cut", "first")
    answer = pods.api.read_namespaced_pod_log("cut", NAMESPACE, follow=True, _preload_content=False)
    chunks = answer.stream(amt=None)
    assert next(chunks) == b"first\n"
    pods.api.delete_namespaced_pod("cut", NAMESPACE)
    assert b"".join(chunks) == b""


@pytest.mark.parametrize(
    "query",
    [{"container": "other"}, {"previous": True}, {"since_seconds": 0}, {"tail_lines": -1}, {"limit_bytes": "x"}],
)
def test_log_that_cannot_be_given(pods: Pods, query: dict[str, Any]) -> None:
    name = "asked"
    if name not in [pod.metadata.name for pod in pods.api.list_namespaced_pod(NAMESPACE).items]:
        pods.create(name, "true")
    pods.await_end(name)
    with pytest.raises(ApiException, match="BadRequest"):
        pods.api.read_namespaced_pod_log(name, NAMESPACE, **query)


def test_events_tell_the_way_of_a_pod(pods: Pods) -> None:
    pods.create("eventful", "sleep 0.3", container={"resources": {"limits": {"memory": "1Gi"}}})
    pods.await_end("eventful")
    found = pods.api.list_namespaced_event(NAMESPACE, field_selector="involvedObject.name=eventful")
    assert [event.reason for event in found.items] == ["Scheduled", "Pulled", "NotEnforced", "Started"]
    assert [event.type for event in found.items] == ["Normal", "Normal", "Warning", "Normal"]
    assert found.items[0].involved_object.field_path == "spec.containers{base}"
    versions = [int(event.metadata.resource_version) for event in found.items]
    assert versions == sorted(versions)
    assert int(found.metadata.resource_version) >= versions[-1]


def test_watch_tells_a_pods_life(pods: Pods) -> None:
    version = pods.create("watched", "sleep 0.3").metadata.resource_version
    query = {"field_selector": "metadata.name=watched", "resource_version": version, "timeout_seconds": 15}
    seen: list[tuple[str, str]] = []
    for change in Watch().stream(pods.api.list_namespaced_pod, NAMESPACE, **query):
        step = (change["type"], change["object"].status.phase)
        if step not in seen:
            seen.append(step)
        if step == ("MODIFIED", "Succeeded"):
            pods.api.delete_namespaced_pod("watched", NAMESPACE)
        if step[0] == "DELETED":
            break
    steps = [("MODIFIED", "Pending"), ("MODIFIED", "Running"), ("MODIFIED", "Succeeded"), ("DELETED", "Succeeded")]
    assert seen == steps


def test_watch_begins_with_what_is_there(pods: Pods) -> None:
    pods.create("present", "true")
    pods.await_end("present")
    query = {"field_selector": "metadata.name=present", "timeout_seconds": 1}
    changes = list(Watch().stream(pods.api.list_namespaced_pod, NAMESPACE, **query))
    assert [(change["type"], change["object"].status.phase) for change in changes] == [("ADDED", "Succeeded")]


def test_watch_ends_at_its_time_out(pods: Pods) -> None:
    started = time.monotonic()
    assert (
        list(
            Watch().stream(pods.api.list_namespaced_event, NAMESPACE, field_selector="reason=Never", timeout_seconds=1)
        )
        == []
    )
    assert 0.9 < time.monotonic() - started < 10


def test_watch_from_a_forgotten_version_is_told_so(pods: Pods) -> None:
    watch = Watch().stream(pods.api.list_namespaced_pod, NAMESPACE, resource_version="1", timeout_seconds=5)
    with pytest.raises(ApiException, match="Expired") as error:
        list(watch)
    assert error.value.status == 410
