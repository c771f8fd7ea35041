"""What the runner takes, and how it refuses the rest: all faults at once, each with its path."""

from typing import Any

import pytest

from local_stack.pod_runner.config import RunnerConfig
from local_stack.pod_runner.metadata import generated_name
from local_stack.pod_runner.new_pod import first_events, new_pod
from local_stack.pod_runner.status import ApiError, Json
from local_stack.pod_runner.validation import check_pod, unenforced_fields

# What the operator sends for a task that sets none of these.
SILENT_SPEC: Json = {
    "affinity": {},
    "automountServiceAccountToken": None,
    "hostNetwork": False,
    "imagePullSecrets": [],
    "initContainers": [],
    "nodeSelector": {},
    "securityContext": {},
    "tolerations": [],
    "volumes": [],
}


def refused_fields(pod: Json, config: RunnerConfig) -> set[str]:
    with pytest.raises(ApiError) as error:
        check_pod(pod, config)
    assert error.value.code == 422
    assert error.value.reason == "Invalid"
    return {cause["field"] for cause in error.value.details["causes"]}


def test_fields_that_say_nothing_are_taken(pod: Json, config: RunnerConfig) -> None:
    pod["spec"] |= SILENT_SPEC
    pod["spec"]["containers"][0] |= {"envFrom": [], "volumeMounts": [], "ports": [], "tty": False, "resources": None}
    check_pod(pod, config)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("volumes", [{"name": "v"}]),
        ("initContainers", [{"name": "i"}]),
        ("hostNetwork", True),
        ("nodeSelector", {"disk": "ssd"}),
        ("tolerations", [{"key": "k"}]),
        ("affinity", {"nodeAffinity": {"x": ["y"]}}),
        ("restartPolicy", "Always"),
        ("restartPolicy", None),
        ("activeDeadlineSeconds", 0),
        ("activeDeadlineSeconds", True),
        ("terminationGracePeriodSeconds", -1),
        ("terminationGracePeriodSeconds", "5"),
        ("automountServiceAccountToken", True),
        ("resourceClaims", 0),
        ("fieldOfTheFuture", "x"),
    ],
)
def test_spec_field_is_refused_by_its_path(pod: Json, config: RunnerConfig, field: str, value: Any) -> None:
    pod["spec"][field] = value
    assert refused_fields(pod, config) == {f"spec.{field}"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Not A Label"),
        ("image", "unknown:latest"),
        ("image", None),
        ("image", 7),
        ("command", "true"),
        ("args", [1]),
        ("args", ["nul\0"]),
        ("env", "A=1"),
        ("env", ["A=1"]),
        ("volumeMounts", [{"name": "v"}]),
        ("livenessProbe", {"exec": {"command": ["true"]}}),
        ("workingDir", "/app"),
        ("imagePullPolicy", "Sometimes"),
        ("terminationMessagePath", "/tmp/message"),
    ],
)
def test_container_field_is_refused_by_its_path(pod: Json, config: RunnerConfig, field: str, value: Any) -> None:
    pod["spec"]["containers"][0][field] = value
    (refused,) = {path.removesuffix("[0]") for path in refused_fields(pod, config)}
    assert refused == f"spec.containers[0].{field}"


@pytest.mark.parametrize(
    ("variable", "path"),
    [
        ({"name": "A=B", "value": "x"}, "env[0].name"),
        ({"name": "", "value": "x"}, "env[0].name"),
        ({"name": "A", "value": 1}, "env[0].value"),
        ({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, "env[0].valueFrom"),
        ({"name": "A", "valueFrom": {"secretKeyRef": {"name": "redis"}}}, "env[0].valueFrom.secretKeyRef"),
        ({"name": "A", "valueFrom": {"secretKeyRef": {"name": "redis", "key": "x"}}}, "env[0].valueFrom.secretKeyRef"),
        (
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "x"}}},
            "env[0].valueFrom.configMapKeyRef",
        ),
    ],
)
def test_variable_is_refused_by_its_path(pod: Json, config: RunnerConfig, variable: Json, path: str) -> None:
    pod["spec"]["containers"][0]["env"] = [variable]
    assert refused_fields(pod, config) == {f"spec.containers[0].{path}"}


@pytest.mark.parametrize(
    "source", [{"secretRef": {"name": "none"}}, {"secretRef": {}}, {"configMapRef": {"name": "none"}}]
)
def test_missing_source_of_variables_is_refused(pod: Json, config: RunnerConfig, source: Json) -> None:
    pod["spec"]["containers"][0]["envFrom"] = [source]
    (path,) = refused_fields(pod, config)
    assert path.startswith("spec.containers[0].envFrom[0]")


def test_unknown_image_is_refused_with_the_known_ones(pod: Json, config: RunnerConfig) -> None:
    pod["spec"]["containers"][0]["image"] = "other:1"
    with pytest.raises(ApiError, match=r"unknown image 'other:1'; images of this runner: plain, python"):
        check_pod(pod, config)


def test_image_without_a_command_needs_one(pod: Json, config: RunnerConfig) -> None:
    del pod["spec"]["containers"][0]["command"]
    assert refused_fields(pod, config) == {"spec.containers[0].command"}
    pod["spec"]["containers"][0]["image"] = "python"
    check_pod(pod, config)


@pytest.mark.parametrize("containers", [[], None, [{}, {}], "base", [1]])
def test_exactly_one_container(pod: Json, config: RunnerConfig, containers: Any) -> None:
    pod["spec"]["containers"] = containers
    assert refused_fields(pod, config) == {"spec.containers"}


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({}, "metadata.name"),
        ({"name": "Upper"}, "metadata.name"),
        ({"name": "a" * 254}, "metadata.name"),
        ({"generateName": "-a"}, "metadata.generateName"),
        ({"name": "a", "namespace": "other"}, "metadata.namespace"),
        ({"name": "a", "labels": {"k": "has space"}}, "metadata.labels"),
        ({"name": "a", "labels": {"k": 1}}, "metadata.labels"),
        ({"name": "a", "labels": {"bad key": "v"}}, "metadata.labels"),
        ({"name": "a", "annotations": {"UPPER.com/k": "v"}}, "metadata.annotations"),
        ({"name": "a", "annotations": {"k": "x" * 262_144}}, "metadata.annotations"),
        ({"name": "a", "finalizers": ["f"]}, "metadata.finalizers"),
        (None, "metadata"),
        ("a", "metadata"),
    ],
)
def test_metadata_is_refused_by_its_path(pod: Json, config: RunnerConfig, metadata: Any, path: str) -> None:
    pod["metadata"] = metadata
    assert refused_fields(pod, config) == {path}


def test_all_faults_are_named_at_once(pod: Json, config: RunnerConfig) -> None:
    pod["metadata"]["name"] = "A"
    pod["spec"]["volumes"] = [{"name": "v"}]
    pod["spec"]["containers"][0]["image"] = "other"
    assert refused_fields(pod, config) == {"metadata.name", "spec.volumes", "spec.containers[0].image"}


@pytest.mark.parametrize("body", [None, [], "pod", 1])
def test_body_that_is_no_object_is_a_bad_request(config: RunnerConfig, body: Any) -> None:
    with pytest.raises(ApiError, match="send a JSON object"):
        new_pod(body, config)


@pytest.mark.parametrize("body", [{}, {"metadata": {}, "spec": {}}, {"metadata": [], "spec": []}, {"kind": "Job"}])
def test_incomplete_pods_are_invalid(config: RunnerConfig, body: Json) -> None:
    with pytest.raises(ApiError, match="is invalid"):
        new_pod(body, config)


def test_recorded_fields_are_told_as_not_enforced(pod: Json, config: RunnerConfig) -> None:
    pod["spec"] |= {"serviceAccountName": "flink", "securityContext": {"runAsNonRoot": True}}
    pod["spec"]["containers"][0] |= {"resources": {"limits": {"cpu": "1"}}, "securityContext": {"privileged": None}}
    stored = new_pod(pod, config)
    fields = ["spec.securityContext", "spec.serviceAccountName", "spec.containers[0].resources"]
    assert unenforced_fields(stored) == fields
    warning = first_events(stored)[-1]
    assert warning["reason"] == "NotEnforced"
    assert all(field in warning["message"] for field in fields)


def test_new_pod_has_defaults_and_a_first_status(pod: Json, config: RunnerConfig) -> None:
    stored = new_pod(pod | {"status": {}}, config)
    assert stored["spec"]["terminationGracePeriodSeconds"] == 30
    assert stored["metadata"]["namespace"] == "test"
    assert stored["status"]["phase"] == "Pending"
    assert [event["reason"] for event in first_events(stored)] == ["Scheduled", "Pulled"]


def test_generated_names_differ_and_fit() -> None:
    assert generated_name("a-") != generated_name("a-")
    assert len(generated_name("a" * 300)) == 253
