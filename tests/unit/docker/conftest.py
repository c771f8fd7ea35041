"""docker-compose.yaml as the reference implementation of the Compose Specification reads it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local_stack.instance import PROJECT, Instance

Services = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def compose_file() -> Path:
    return PROJECT / "docker-compose.yaml"


@pytest.fixture(scope="session")
def loaded(compose_file: Path) -> subprocess.CompletedProcess[str]:
    """What the loader says: the model on standard output, errors and warnings on standard error."""
    loader = Instance.from_environment().tools / "bin" / "compose-spec"
    command = [str(loader), "-format", "json", str(compose_file)]
    # Without the environment: what it holds must not change what is tested.
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={})


@pytest.fixture(scope="session")
def model(loaded: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(loaded.stdout)
    return document


@pytest.fixture(scope="session")
def services(model: dict[str, Any]) -> Services:
    found: Services = model["services"]
    return found


@pytest.fixture
def laptop(tmp_path: Path) -> Instance:
    """An instance of the laptop stack that only writes its configuration."""
    instance = Instance(home=tmp_path / "home", tools=Instance.from_environment().tools, port_offset=0)
    instance.make_secrets()
    return instance
