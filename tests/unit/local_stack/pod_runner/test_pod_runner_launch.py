"""What a pod's process gets: command, directory and environment."""

from pathlib import Path

import pytest

from local_stack.pod_runner.config import RunnerConfig
from local_stack.pod_runner.launch import build_launch
from local_stack.pod_runner.new_pod import new_pod
from local_stack.pod_runner.status import Json
from local_stack.pod_runner.variables import expand

RUNNER_ENVIRONMENT = {"PATH": "/usr/bin", "HOME": "/home/u", "AIRFLOW_CONN_X": "secret", "ICACHE_INSTANCE": "i1"}


def launch(pod: Json, config: RunnerConfig, **container: object) -> Json:
    pod["spec"]["containers"][0] |= container
    return build_launch(new_pod(pod, config), config, Path("/run/a"), RUNNER_ENVIRONMENT)


def test_environment_is_minimal_and_marked(pod: Json, config: RunnerConfig) -> None:
    env = launch(pod, config)["env"]
    assert env == {"PATH": "/usr/bin", "HOME": "/home/u", "LANG": "C.UTF-8", "TZ": "UTC", "ICACHE_INSTANCE": "i1"}


def test_image_gives_prefix_path_and_variables(pod: Json, config: RunnerConfig) -> None:
    started = launch(pod, config, image="python", command=["mod"], args=["-x"])
    assert started["argv"] == ["python3", "-m", "mod", "-x"]
    assert started["env"]["PATH"] == "/venv/bin:/usr/bin"
    assert started["env"]["A"] == "image"
    assert started["cwd"] == str(config.images["python"].cwd)


def test_variables_override_in_the_order_of_kubernetes(pod: Json, config: RunnerConfig) -> None:
    env = launch(
        pod,
        config,
        image="python",
        envFrom=[{"secretRef": {"name": "redis"}, "prefix": "R_"}, {"configMapRef": {"name": "settings"}}],
        env=[
            {"name": "A", "value": "pod"},
            {"name": "R_user", "value": "other"},
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}}},
            {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}},
            {"name": "URL", "value": "redis://:$(PASSWORD)@h"},
            {"name": "EMPTY"},
            {"name": "ICACHE_INSTANCE", "value": "forged"},
        ],
    )["env"]
    assert env["A"] == "pod"
    assert (env["R_user"], env["R_password"], env["level"]) == ("other", "s3cret", "debug")
    assert (env["PASSWORD"], env["LEVEL"], env["URL"], env["EMPTY"]) == ("s3cret", "debug", "redis://:s3cret@h", "")
    assert env["ICACHE_INSTANCE"] == "i1"


def test_optional_references_may_be_missing(pod: Json, config: RunnerConfig) -> None:
    reference = {"secretKeyRef": {"name": "none", "key": "k", "optional": True}}
    source = {"configMapRef": {"name": "none", "optional": True}}
    env = launch(pod, config, env=[{"name": "A", "valueFrom": reference}], envFrom=[source])["env"]
    assert "A" not in env


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)-$(B)", "1-2"),
        ("$(MISSING)", "$(MISSING)"),
        ("$$(A)", "$(A)"),
        ("$A ${A} $", "$A ${A} $"),
        ("$$$(A)", "$1"),
        ("$(A", "$(A"),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def test_command_is_expanded_with_the_pods_variables(pod: Json, config: RunnerConfig) -> None:
    started = launch(pod, config, args=["$(A)", "$(HOME)"], env=[{"name": "A", "value": "x"}])
    assert started["argv"] == ["true", "x", "$(HOME)"]
