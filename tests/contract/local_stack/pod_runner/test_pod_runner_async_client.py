"""The asynchronous client, which Airflow's triggerer uses."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from kubernetes_asyncio import client, config, watch

NAMESPACE = "test"
DEADLINE_S = 20
Pods = Any


def with_client(pods: Pods, scenario: Callable[[Any], Awaitable[None]]) -> None:
    """Run a scenario with a client that was set up from the kubeconfig."""

    async def run() -> None:
        settings = client.Configuration()
        await config.load_kube_config_from_dict(pods.runner.kubeconfig, client_configuration=settings)
        async with client.ApiClient(settings) as connection, asyncio.timeout(DEADLINE_S):
            await scenario(client.CoreV1Api(connection))

    asyncio.run(run())


def pod_body(name: str, script: str) -> dict[str, Any]:
    container = {"name": "base", "image": "shell:dev", "command": ["sh", "-c", script]}
    return {"metadata": {"name": name}, "spec": {"restartPolicy": "Never", "containers": [container]}}


def test_a_pods_life(pods: Pods) -> None:
    async def scenario(api: Any) -> None:
        await api.create_namespaced_pod(NAMESPACE, pod_body("async", "echo hello; exit 4"))
        while (pod := await api.read_namespaced_pod("async", NAMESPACE)).status.phase != "Failed":
            await asyncio.sleep(0.05)
        assert pod.status.container_statuses[0].state.terminated.exit_code == 4
        answer = await api.read_namespaced_pod_log("async", NAMESPACE, timestamps=True, _preload_content=False)
        assert (await answer.read()).endswith(b"Z hello\n")
        await api.delete_namespaced_pod("async", NAMESPACE, body=client.V1DeleteOptions())
        with pytest.raises(client.ApiException) as error:
            await api.read_namespaced_pod("async", NAMESPACE)
        assert error.value.status == 404

    with_client(pods, scenario)


def test_events_are_watched(pods: Pods) -> None:
    async def scenario(api: Any) -> None:
        await api.create_namespaced_pod(NAMESPACE, pod_body("async-events", "sleep 0.3"))
        selector = "involvedObject.name=async-events"
        stream = watch.Watch().stream(api.list_namespaced_event, NAMESPACE, field_selector=selector, timeout_seconds=15)
        reasons = []
        async for event in stream:
            reasons.append(event["object"].reason)
            if reasons[-1] == "Started":
                break
        assert reasons == ["Scheduled", "Pulled", "Started"]
        await stream.close()

    with_client(pods, scenario)


def test_log_is_followed(pods: Pods) -> None:
    async def scenario(api: Any) -> None:
        await api.create_namespaced_pod(NAMESPACE, pod_body("async-log", "sleep 0.2; echo one; sleep 0.3; echo two"))
        while (await api.read_namespaced_pod("async-log", NAMESPACE)).status.phase == "Pending":
            await asyncio.sleep(0.02)
        answer = await api.read_namespaced_pod_log("async-log", NAMESPACE, follow=True, _preload_content=False)
        assert [line async for line in answer.content] == [b"one\n", b"two\n"]

    with_client(pods, scenario)
