"""Pods through the real Kubernetes client: create, read, list, patch, delete, deadline."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiException, V1DeleteOptions, V1Preconditions, VersionApi

NAMESPACE = "test"
Pods = Any


def refusal(call: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return the Status object of a request that must fail."""
    with pytest.raises(ApiException) as error:
        call(*args, **kwargs)
    status: dict[str, Any] = json.loads(error.value.body)
    assert status["kind"] == "Status"
    assert status["code"] == error.value.status
    return status


def request(pods: Pods, method: str, path: str, token: str | None, body: bytes | None = None) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    call = urllib.request.Request(pods.runner.url + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(call) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_a_pod_runs_to_success(pods: Pods) -> None:
    created = pods.create("good", "echo done")
    assert created.status.phase == "Pending"
    pod = pods.await_end("good")
    assert pod.status.phase == "Succeeded"
    assert pod.metadata.uid == created.metadata.uid
    assert int(pod.metadata.resource_version) > int(created.metadata.resource_version)
    (container,) = pod.status.container_statuses
    assert (container.name, container.restart_count) == ("base", 0)
    assert (container.state.terminated.exit_code, container.state.terminated.reason) == (0, "Completed")
    assert container.state.terminated.finished_at >= container.state.terminated.started_at
    assert pods.api.read_namespaced_pod_status("good", NAMESPACE).status == pod.status


def test_a_running_pod_tells_where_it_runs(pods: Pods) -> None:
    pods.create("running", "sleep 600")
    pod = pods.await_phase("running", "Running")
    assert pod.status.container_statuses[0].state.running.started_at >= pod.status.start_time
    assert pod.status.pod_ip == "127.0.0.1"
    assert {condition.type: condition.status for condition in pod.status.conditions}["Ready"] == "True"
    pods.api.delete_namespaced_pod("running", NAMESPACE, grace_period_seconds=0)
    pods.await_gone("running")


def test_exit_code_and_the_end_of_the_log_are_told(pods: Pods) -> None:
    pods.create("bad", "echo why; exit 3", container={"terminationMessagePolicy": "FallbackToLogsOnError"})
    pod = pods.await_end("bad")
    terminated = pod.status.container_statuses[0].state.terminated
    assert (pod.status.phase, terminated.exit_code, terminated.message) == ("Failed", 3, "why\n")


def test_command_that_is_not_there(pods: Pods) -> None:
    pods.create("absent", "", container={"command": ["no-such-command"]})
    terminated = pods.await_end("absent").status.container_statuses[0].state.terminated
    assert (terminated.exit_code, terminated.reason) == (128, "StartError")
    assert "no-such-command" in terminated.message


def test_environment_comes_from_image_pod_and_secrets_only(pods: Pods) -> None:
    reference = {"name": "P", "valueFrom": {"secretKeyRef": {"name": "redis", "key": "PASSWORD"}}}
    pods.create("env", "env", container={"env": [reference], "envFrom": [{"secretRef": {"name": "redis"}}]})
    pods.await_end("env")
    names = {line.partition("=")[0]: line.partition("=")[2] for line in pods.log("env").splitlines()}
    assert names["P"] == names["PASSWORD"] == "s3cret"
    assert (names["FROM_IMAGE"], names["ICACHE_INSTANCE"]) == ("1", "contract")
    base = {"PATH", "HOME", "LANG", "TZ", "PWD", "SHLVL", "_"}  # the last three are the shell's own
    assert set(names) - base == {"P", "PASSWORD", "FROM_IMAGE", "ICACHE_INSTANCE"}


def test_secrets_are_in_no_file_of_the_state(pods: Pods) -> None:
    pods.create("secret", "sleep 600", container={"envFrom": [{"secretRef": {"name": "redis"}}]})
    pods.await_phase("secret", "Running")
    files = [path for path in pods.runner.state_dir.glob("pods/*") if "secret" in path.read_text()]
    assert files
    assert not any("s3cret" in path.read_text() for path in files)
    pods.api.delete_namespaced_pod("secret", NAMESPACE, grace_period_seconds=0)
    pods.await_gone("secret")


def test_state_is_for_the_owner_only(pods: Pods) -> None:
    assert pods.runner.state_dir.stat().st_mode & 0o777 == 0o700


def test_names_are_unique_or_generated(pods: Pods) -> None:
    pods.create("twin", "true")
    status = refusal(pods.create, "twin", "true")
    assert (status["code"], status["reason"]) == (409, "AlreadyExists")
    container = {"name": "c", "image": "shell:dev", "command": ["true"]}
    body = {"metadata": {"generateName": "twin-"}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    generated = [pods.api.create_namespaced_pod(NAMESPACE, body).metadata.name for _ in range(2)]
    assert len({*generated, "twin"}) == 3
    assert all(name.startswith("twin-") for name in generated)


def test_list_by_the_operators_selector(pods: Pods) -> None:
    labels = {"dag_id": "d", "task_id": "t", "run_id": "r"}
    pods.create("listed", "true", labels=labels)
    pods.create("checked", "true", labels={**labels, "already_checked": "True"})
    pods.create("worker", "true", labels={**labels, "airflow-worker": "w"})
    selector = "dag_id=d,run_id=r,task_id=t,already_checked!=True,!airflow-worker"
    found = pods.api.list_namespaced_pod(NAMESPACE, label_selector=selector)
    assert [pod.metadata.name for pod in found.items] == ["listed"]
    assert int(found.metadata.resource_version) > 0
    in_set = pods.api.list_namespaced_pod(NAMESPACE, label_selector="dag_id in (d,e),airflow-worker notin (x)")
    assert [pod.metadata.name for pod in in_set.items] == ["checked", "listed", "worker"]
    by_name = pods.api.list_namespaced_pod(NAMESPACE, field_selector="metadata.name=worker")
    assert [pod.metadata.name for pod in by_name.items] == ["worker"]
    assert refusal(pods.api.list_namespaced_pod, NAMESPACE, label_selector="a>1")["code"] == 400


def test_patch_in_the_three_forms_of_the_client(pods: Pods) -> None:
    pods.create("patched", "true", labels={"old": "1"})
    merge = {"metadata": {"labels": {"already_checked": "True"}}}
    assert pods.api.patch_namespaced_pod("patched", NAMESPACE, merge).metadata.labels["already_checked"] == "True"
    strategic = {"metadata": {"labels": {"old": None}}}
    kind = "application/strategic-merge-patch+json"
    assert (
        "old" not in pods.api.patch_namespaced_pod("patched", NAMESPACE, strategic, _content_type=kind).metadata.labels
    )
    operations = [{"op": "add", "path": "/metadata/annotations/note", "value": "n"}]
    assert pods.api.patch_namespaced_pod("patched", NAMESPACE, operations).metadata.annotations == {"note": "n"}
    pods.await_end("patched")
    assert pods.read("patched").metadata.labels == {"already_checked": "True"}
    status = refusal(pods.api.patch_namespaced_pod, "patched", NAMESPACE, {"spec": {"activeDeadlineSeconds": 1}})
    assert (status["code"], status["details"]["causes"][0]["field"]) == (422, "spec")


def test_finished_pod_is_deleted_at_once(pods: Pods) -> None:
    pods.create("old", "true")
    pods.await_end("old")
    assert pods.api.delete_namespaced_pod("old", NAMESPACE, body=V1DeleteOptions()).metadata.name == "old"
    assert refusal(pods.read, "old")["reason"] == "NotFound"
    assert refusal(pods.api.delete_namespaced_pod, "old", NAMESPACE)["code"] == 404


def test_deletion_gives_the_pod_its_grace(pods: Pods, tmp_path: Path) -> None:
    script = f"trap 'echo ended > {tmp_path}/end; exit' TERM; echo ready; while :; do sleep 0.05; done"
    pods.create("graceful", script, terminationGracePeriodSeconds=20)
    pods.await_log("graceful", "ready")
    answer = pods.api.delete_namespaced_pod("graceful", NAMESPACE)
    assert answer.metadata.deletion_grace_period_seconds == 20
    pods.await_gone("graceful")
    assert (tmp_path / "end").read_text() == "ended\n"


def test_deletion_kills_what_does_not_end_in_time(pods: Pods, tmp_path: Path) -> None:
    pods.create("stubborn", f"trap 'echo no > {tmp_path}/said' TERM; echo ready; while :; do sleep 0.05; done")
    pods.await_log("stubborn", "ready")
    assert pods.api.delete_namespaced_pod("stubborn", NAMESPACE, grace_period_seconds=1).metadata.deletion_timestamp
    pods.await_gone("stubborn")
    assert (tmp_path / "said").read_text() == "no\n"


def test_deletion_right_after_creation(pods: Pods) -> None:
    for number in range(5):
        pods.create(f"brief-{number}", "sleep 600")
        pods.api.delete_namespaced_pod(f"brief-{number}", NAMESPACE, grace_period_seconds=0)
    for number in range(5):
        pods.await_gone(f"brief-{number}")


def test_deletion_heeds_preconditions_and_refuses_unknown_options(pods: Pods) -> None:
    uid = pods.create("guarded", "true").metadata.uid
    pods.await_end("guarded")
    delete = pods.api.delete_namespaced_pod
    assert (
        refusal(delete, "guarded", NAMESPACE, body=V1DeleteOptions(preconditions=V1Preconditions(uid="x")))["code"]
        == 409
    )
    assert refusal(delete, "guarded", NAMESPACE, dry_run="All")["code"] == 400
    assert (
        refusal(delete, "guarded", NAMESPACE, body={"ignoreStoreReadErrorWithClusterBreakingPotential": True})["code"]
        == 400
    )
    delete("guarded", NAMESPACE, body=V1DeleteOptions(preconditions=V1Preconditions(uid=uid)))


def test_active_deadline_ends_a_pod(pods: Pods) -> None:
    pods.create("late", "exec sleep 600", activeDeadlineSeconds=1)
    pod = pods.await_end("late")
    assert (pod.status.phase, pod.status.reason) == ("Failed", "DeadlineExceeded")
    assert pod.status.container_statuses[0].state.terminated.exit_code == 143


def test_active_deadline_fails_also_who_ends_well(pods: Pods) -> None:
    pods.create("polite", "trap 'exit 0' TERM; while :; do sleep 0.05; done", activeDeadlineSeconds=1)
    pod = pods.await_end("polite")
    assert (pod.status.phase, pod.status.container_statuses[0].state.terminated.exit_code) == ("Failed", 0)


def test_refused_pods_name_the_fields(pods: Pods) -> None:
    status = refusal(pods.create, "refused", "true", volumes=[{"name": "v"}], container={"image": "other"})
    assert (status["code"], status["reason"], status["details"]["name"]) == (422, "Invalid", "refused")
    assert {cause["field"] for cause in status["details"]["causes"]} == {"spec.volumes", "spec.containers[0].image"}
    assert "images of this runner: shell:dev" in status["message"]
    assert refusal(pods.read, "refused")["code"] == 404
    assert refusal(pods.api.create_namespaced_pod, NAMESPACE, {}, dry_run="All")["code"] == 400


def test_other_resources_and_methods_get_a_status(pods: Pods) -> None:
    api = pods.api
    assert refusal(api.list_namespaced_secret, NAMESPACE)["reason"] == "NotFound"
    assert refusal(api.list_namespace)["code"] == 404
    assert refusal(api.delete_collection_namespaced_pod, NAMESPACE)["reason"] == "MethodNotAllowed"
    assert refusal(api.list_namespaced_pod, "elsewhere")["message"] == 'namespaces "elsewhere" not found'
    assert refusal(api.connect_get_namespaced_pod_exec, "x", NAMESPACE, command="sh")["code"] == 404


def test_version(pods: Pods) -> None:
    assert VersionApi(pods.api.api_client).get_code().git_version.endswith("local-pod-runner")


@pytest.mark.parametrize("token", [None, "", "wrong", "x" * 32])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/version"),
        ("GET", "/api/v1/namespaces/test/pods"),
        ("POST", "/api/v1/namespaces/test/pods"),
        ("GET", "/x"),
    ],
)
def test_without_the_token_nothing_is_answered(pods: Pods, token: str | None, method: str, path: str) -> None:
    code, body = request(pods, method, path, token)
    assert (code, json.loads(body)["reason"]) == (401, "Unauthorized")


def test_health_needs_no_token(pods: Pods) -> None:
    assert request(pods, "GET", "/healthz", None) == (200, b"ok")


@pytest.mark.parametrize(
    ("body", "code"), [(b"{", 400), (b"", 400), (b'"\\ud800"', 400), (b"[" * 100_000, 400), (b" " * 1_100_000, 413)]
)
def test_bodies_that_are_no_pods(pods: Pods, body: bytes, code: int) -> None:
    answer, text = request(pods, "POST", "/api/v1/namespaces/test/pods", pods.runner.token, body)
    assert (answer, json.loads(text)["code"]) == (code, code)
