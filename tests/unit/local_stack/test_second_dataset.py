"""The stack runs another dataset by its setting, and optional parts only when they were asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from instrument_cache.errors import InstrumentCacheError
from local_stack.components.schema_registry import SCHEMA_REGISTRY
from local_stack.instance import PROJECT, Instance
from local_stack.stack import COMPONENTS, component, parts

_PROGRAM = """
import json, sys
from pathlib import Path
from local_stack.components.product import SIMULATOR
from local_stack.instance import Instance
instance = Instance(Path(sys.argv[1]), Path("tools"), 0)
instance.make_secrets()
print(json.dumps([SIMULATOR.command(instance), instance.settings()]))
"""


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    instance = Instance(tmp_path, tmp_path / "tools", 0)
    instance.make_secrets()
    return instance


def test_the_simulator_takes_key_and_version_of_the_contract(tmp_path: Path) -> None:
    environment = {**os.environ, "ICACHE_DATASET": "issuers"}
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path)]
    done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60)
    simulator, settings = json.loads(done.stdout)
    options = dict(zip(simulator[1::2], simulator[2::2], strict=True))
    assert (options["--topic"], options["--key-field"], options["--version-field"]) == (
        "issuers",
        "lei",
        "last_updated",
    )
    assert settings["ICACHE_DATASET"] == "issuers"
    assert settings["ICACHE_SOURCE_URL"].endswith("/issuers")


def test_an_optional_part_runs_only_if_it_was_chosen(instance: Instance) -> None:
    assert parts(instance) == COMPONENTS
    assert "ICACHE_SCHEMA_REGISTRY_URL" not in instance.settings()
    instance.choose(["schema-registry"])
    assert parts(instance) == (*COMPONENTS, SCHEMA_REGISTRY)
    assert instance.settings()["ICACHE_SCHEMA_REGISTRY_URL"] == "http://127.0.0.1:8086/apis/ccompat/v7"
    instance.choose([])
    assert parts(instance) == COMPONENTS


def test_an_optional_part_that_is_not_installed_says_what_installs_it(instance: Instance) -> None:
    assert component("schema-registry") is SCHEMA_REGISTRY
    with pytest.raises(InstrumentCacheError, match=r"setup\.sh schema-registry"):
        SCHEMA_REGISTRY.prepare(instance)
