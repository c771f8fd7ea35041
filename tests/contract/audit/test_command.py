"""`icache audit` and the hook that operations use, on a real S3 server in each of two regions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from instrument_cache.audit.service import Audit
from instrument_cache.audit.written import chain_written
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import Environment, s3_settings
from local_stack.cli import main
from local_stack.instance import DATASET, Instance
from tests.servers import free_port_offset, stack_component


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """With the first region only: a test starts the second one."""
    home, offset = tmp_path_factory.mktemp("stack"), free_port_offset()
    with stack_component("s3", home, offset):
        yield Instance(home, Instance.from_environment().tools, offset)


@pytest.fixture
def icache(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("ICACHE_HOME", str(instance.home))
    monkeypatch.setenv("ICACHE_PORT_OFFSET", str(instance.port_offset))
    monkeypatch.setenv("COLUMNS", "500")
    return CliRunner()


def run(icache: CliRunner, *arguments: str) -> Result:
    return icache.invoke(main, ["audit", *arguments])


def report(objects: ObjectStore, number: int) -> str:
    """Write and chain one, as `publish` does."""
    name = f"reports/{DATASET}/backup/2099-01-0{number}/run-{number}.json"
    body = json.dumps({"operation": "backup", "ok": True, "sentence": f"{number} keys are safe"}).encode()
    objects.put_once(name, body)
    assert chain_written(objects, DATASET, name, body)
    return name


def test_the_trail_from_the_shell(icache: CliRunner, instance: Instance, tmp_path: Path) -> None:
    env = Environment(instance.settings())
    objects = ObjectStore(s3_settings(env))
    first = report(objects, 1)
    away = run(icache, "verify")
    assert (away.exit_code, "region second could not be read" in away.output) == (1, True), away.output

    with stack_component("s3-second", instance.home, instance.port_offset):
        second = report(objects, 2)
        good = run(icache, "verify")
        assert good.exit_code == 0, good.output
        assert "2 entries and their reports in first and second" in good.output

        listed = json.loads(run(icache, "list", "--kind", "backup", "--json").output)
        assert [(entry["number"], entry["report"]) for entry in listed["entries"]] == [(1, first), (2, second)]
        assert "1 keys are safe" in run(icache, "list").output
        assert "2 keys are safe" in run(icache, "show", "run-2").output
        assert run(icache, "show", "9").exit_code == 1

        out = tmp_path / "october"
        exported = run(icache, "export", "--from", "1h", "--out", str(out))
        assert exported.exit_code == 0, exported.output
        assert out.with_suffix(".pdf").read_bytes().startswith(b"%PDF-")
        assert second in out.with_suffix(".html").read_text()
        assert run(icache, "export", "--from", "2025-01-01", "--to", "2025-01-02", "--out", str(out)).exit_code == 1

        objects.put_once(f"reports/{DATASET}/backup/2099-01-03/waits.json", b"{}")
        assert "waits.json is in no entry" in run(icache, "verify").output
        assert "1 reports chained" in run(icache, "settle").output
        assert run(icache, "verify").exit_code == 0

        trail = Audit(env).trail
        trail.first.put_over(trail.names.document(first), b"{}")
        bad = run(icache, "verify", "--json")
        findings = json.loads(bad.output)["findings"]
        assert (bad.exit_code, [finding["what"] for finding in findings]) == (1, [f"report {first} in region first"])
