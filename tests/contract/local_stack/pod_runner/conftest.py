"""A running server and its two real clients."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from local_stack.pod_runner.testing import RunningPodRunner

DEADLINE_S = 20.0
NAMESPACE = "test"
IMAGE = "shell:dev"


def shell_pod(name: str, script: str, *, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """Return a pod that runs a shell script; `container` in `spec` adds fields to the container."""
    container = {"name": "base", "image": IMAGE, "command": ["sh", "-c", script], **spec.pop("container", {})}
    metadata = {"name": name, "labels": labels or {}}
    return {"metadata": metadata, "spec": {"restartPolicy": "Never", "containers": [container], **spec}}


def wait_for(condition: Callable[[], Any]) -> Any:
    """Return the condition's first true value."""
    deadline = time.monotonic() + DEADLINE_S
    while not (result := condition()):
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)
    return result


class Pods:
    """The API of the real client, and the waits that tests need."""

    def __init__(self, runner: RunningPodRunner) -> None:
        self.runner = runner
        self.api = client.CoreV1Api(config.new_client_from_config_dict(runner.kubeconfig))

    def create(self, *args: Any, **kwargs: Any) -> Any:
        return self.api.create_namespaced_pod(NAMESPACE, shell_pod(*args, **kwargs))

    def read(self, name: str) -> Any:
        return self.api.read_namespaced_pod(name, NAMESPACE)

    def log(self, name: str, **kwargs: Any) -> str:
        answer = self.api.read_namespaced_pod_log(name, NAMESPACE, _preload_content=False, **kwargs)
        return str(answer.data.decode(errors="backslashreplace"))

    def await_phase(self, name: str, *phases: str) -> Any:
        return wait_for(lambda: (pod := self.read(name)).status.phase in phases and pod)

    def await_end(self, name: str) -> Any:
        return self.await_phase(name, "Succeeded", "Failed")

    def await_log(self, name: str, text: str) -> None:
        self.await_phase(name, "Running", "Succeeded", "Failed")
        wait_for(lambda: text in self.log(name))

    def await_gone(self, name: str) -> None:
        wait_for(lambda: name not in [pod.metadata.name for pod in self.api.list_namespaced_pod(NAMESPACE).items])


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPodRunner]:
    folder = tmp_path_factory.mktemp("runner")
    images = {IMAGE: {"cwd": str(folder), "env": {"FROM_IMAGE": "1"}}}
    runner = RunningPodRunner(folder, images, namespace=NAMESPACE, secrets={"redis": {"PASSWORD": "s3cret"}})
    runner.start({"ICACHE_INSTANCE": "contract", "RUNNER_ONLY": "never in a pod"})
    yield runner
    runner.stop()


@pytest.fixture(scope="module")
def pods(runner: RunningPodRunner) -> Pods:
    return Pods(runner)


@pytest.fixture
def own_runner(tmp_path: Path) -> Iterator[Callable[..., Pods]]:
    """Make runners of the test's own, to be killed or stopped by it."""
    runners: list[RunningPodRunner] = []

    def start(**settings: Any) -> Pods:
        runner = RunningPodRunner(tmp_path, {IMAGE: {"cwd": str(tmp_path)}}, namespace=NAMESPACE, **settings)
        runner.start({"PATH": os.environ["PATH"]})
        runners.append(runner)
        return Pods(runner)

    yield start
    for runner in runners:
        runner.__exit__(None, None, None)
