"""`icache contract`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from local_stack.cli import main
from local_stack.instance import PROJECT
from tests.schema_registry import RegistryStandIn, registry_stand_in

CONTRACTS = PROJECT / "contracts"


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["contract", *arguments], env=environment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(CONTRACTS, tmp_path / "contracts")
    return tmp_path / "contracts"


@pytest.fixture
def registry() -> Iterator[RegistryStandIn]:
    with registry_stand_in() as server:
        yield server


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_project_s_contracts_have_no_problem() -> None:
    assert run("check").exit_code == 0


def test_every_broken_contract_is_listed(folder: Path) -> None:
    edit(folder / "instruments.yaml", "keyPrefix\n    value: instr", "keyPrefix\n    value: lock")
    edit(folder / "issuers.yaml", "value: lei }", "value: isbn }")
    done = run("check", ICACHE_CONTRACTS=str(folder))
    assert done.exit_code == 1
    assert "instruments.yaml: prefix 'lock'" in done.output
    assert "issuers.yaml: field 'lei' has identifier 'isbn'" in done.output


def test_a_change_that_breaks_names_the_field_and_the_way_out(folder: Path) -> None:
    edit(
        folder / "issuers.yaml",
        "name: status\n        logicalType: string",
        "name: status\n        logicalType: integer",
    )
    done = run("check", ICACHE_CONTRACTS=str(folder))
    assert done.exit_code == 1
    for part in ("issuers.yaml: status", "breaks readers and writers", "keep the type", "raise version to 2.0.0"):
        assert part in done.output


def test_a_release_that_was_changed_afterwards_is_a_problem(folder: Path) -> None:
    edit(folder / "released" / "issuers" / "1.0.0.yaml", "version: 1.0.0", "version: 1.0.1")
    assert "stays as it was released" in run("check", ICACHE_CONTRACTS=str(folder)).output


@pytest.mark.parametrize(("old", "new", "code"), [("name: status", "name: state_of", 1), ("MINOR", "", 0)])
def test_diff_says_whom_a_change_breaks(folder: Path, old: str, new: str, code: int) -> None:
    changed = folder / "issuers.yaml"
    if code:
        edit(changed, old, new)
    done = run("diff", str(CONTRACTS / "issuers.yaml"), str(changed))
    assert done.exit_code == code
    assert ("breaks readers" in " ".join(done.output.split())) == bool(code)


def test_a_file_that_is_not_there_is_one_sentence() -> None:
    done = run("diff", "nowhere.yaml", "nowhere.yaml")
    assert done.exit_code == 1
    assert "nowhere.yaml does not exist" in done.output


def test_avro_prints_the_schema_and_registers_it(registry: RegistryStandIn) -> None:
    schema = json.loads(run("avro", "issuers").output)
    assert [field["name"] for field in schema["fields"]] == ["op", "version", "source", "record"]
    done = run("avro", "issuers", "--register", ICACHE_SCHEMA_REGISTRY_URL=registry.url)
    assert (done.exit_code, done.output.strip()) == (0, "1")
    assert json.loads(registry.schemas[1]["schema"]) == schema
    assert registry.levels == {"issuers-value": "FULL_TRANSITIVE"}


def test_without_a_registry_there_is_a_way_out(tmp_path: Path) -> None:
    done = run("avro", "issuers", "--register", ICACHE_HOME=str(tmp_path))
    assert done.exit_code == 1
    assert "icache up --with schema-registry" in " ".join(done.output.split())
