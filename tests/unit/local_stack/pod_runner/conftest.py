"""A configuration and a pod to vary."""

from pathlib import Path

import pytest

from local_stack.pod_runner.config import Image, RunnerConfig
from local_stack.pod_runner.status import Json


@pytest.fixture
def config(tmp_path: Path) -> RunnerConfig:
    return RunnerConfig(
        token_file=tmp_path / "token",
        state_dir=tmp_path / "state",
        namespace="test",
        images={
            "plain": Image(cwd=tmp_path),
            "python": Image(
                cwd=tmp_path, command_prefix=["python3", "-m"], env={"A": "image"}, path_prepend=["/venv/bin"]
            ),
        },
        secrets={"redis": {"password": "s3cret", "user": "cache"}},
        config_maps={"settings": {"level": "debug"}},
    )


@pytest.fixture
def pod() -> Json:
    container = {"name": "base", "image": "plain", "command": ["true"]}
    return {"metadata": {"name": "a"}, "spec": {"restartPolicy": "Never", "containers": [container]}}
