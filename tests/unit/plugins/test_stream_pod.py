from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import ApiClient

from instrument_cache_airflow.operators.stream_pod import stream_pod
from local_stack.pod_runner.config import Image, RunnerConfig
from local_stack.pod_runner.validation import check_pod


def operator(verb: Literal["ensure", "stop"] = "ensure") -> KubernetesPodOperator:
    return KubernetesPodOperator(task_id="ensure_job", **stream_pod(verb))


def pod(verb: Literal["ensure", "stop"] = "ensure") -> dict[str, Any]:
    """The pod as it goes over the wire."""
    request = operator(verb).build_pod_request_obj(dry_run=True)
    body: dict[str, Any] = ApiClient().sanitize_for_serialization(request)
    return body


@pytest.mark.parametrize("verb", ["ensure", "stop"])
def test_what_the_pod_runs(verb: Literal["ensure", "stop"]) -> None:
    body = pod(verb)
    container = body["spec"]["containers"][0]
    assert container["command"] == ["python", "-m", "flink_jobs.submit"]
    assert container["args"] == [verb]
    assert container["image"] == "instrument-cache-flink:dev"
    assert container["envFrom"] == [{"secretRef": {"name": "instrument-cache"}}]
    assert body["metadata"]["namespace"] == "instrument-cache"
    assert body["metadata"]["name"].startswith(f"stream-{verb}-")
    assert body["spec"]["restartPolicy"] == "Never"


def test_two_pods_have_two_names() -> None:
    assert pod()["metadata"]["name"] != pod()["metadata"]["name"]


def test_settings_are_read_when_the_operator_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICACHE_FLINK_IMAGE", "registry.example/flink:7")
    monkeypatch.setenv("ICACHE_NAMESPACE", "blue")
    body = pod()
    assert body["spec"]["containers"][0]["image"] == "registry.example/flink:7"
    assert body["metadata"]["namespace"] == "blue"


def test_the_pod_is_confined_as_pod_security_asks() -> None:
    spec = pod()["spec"]
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert spec["automountServiceAccountToken"] is False
    container = spec["containers"][0]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert container["resources"]["limits"] == {"memory": "1536Mi"}


def test_the_operator_survives_its_worker_and_holds_none() -> None:
    task = operator()
    assert (task.deferrable, task.durable, task.random_name_suffix, task.do_xcom_push) == (True, True, True, False)
    assert task.get_logs
    assert task.on_finish_action == "delete_pod"
    assert task.kubernetes_conn_id == "kubernetes_default"


@pytest.mark.parametrize("verb", ["ensure", "stop"])
def test_the_local_pod_runner_takes_it(verb: Literal["ensure", "stop"], tmp_path: Path) -> None:
    config = RunnerConfig(
        token_file=tmp_path / "token",
        state_dir=tmp_path,
        images={"instrument-cache-flink:dev": Image(cwd=tmp_path)},
        secrets={"instrument-cache": {"ICACHE_FLINK_URL": "http://127.0.0.1:8081"}},
    )
    check_pod(pod(verb), config)
