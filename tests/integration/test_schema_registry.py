"""The real registry of the laptop stack passes the suite of the registry's client, and remembers through a kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from instrument_cache.avro_schema import envelope_schema
from instrument_cache.contract import Contract
from instrument_cache.schema_registry import SchemaRegistry
from local_stack.components.schema_registry import SCHEMA_REGISTRY
from local_stack.instance import SCHEMA_REGISTRY_API, Instance
from tests.contract.schema_registry_suite import *  # noqa: F403
from tests.servers import free_port_offset, process, wait_until


class Server:
    """Apicurio as the stack starts it."""

    def __init__(self, home: Path) -> None:
        self.instance = Instance(home, Instance.from_environment().tools, free_port_offset())
        self.url = self.instance.url("schema-registry") + SCHEMA_REGISTRY_API
        SCHEMA_REGISTRY.prepare(self.instance)

    def run(self) -> Iterator[int]:
        environment = {**self.instance.base_environment(), **SCHEMA_REGISTRY.environment(self.instance)}
        log = self.instance.folder("log") / "schema-registry.log"
        with process(SCHEMA_REGISTRY.command(self.instance), environment, log) as pid:
            wait_until(lambda: SCHEMA_REGISTRY.is_ready(self.instance), SCHEMA_REGISTRY.ready_timeout_s, f"{log}")
            yield pid


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return Server(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def pid(server: Server) -> Iterator[int]:
    yield from server.run()


@pytest.fixture
def registry_url(server: Server, pid: int) -> str:
    return server.url


def test_it_listens_on_loopback_only(server: Server, pid: int) -> None:
    ports = {f"{server.instance.port(name):04X}" for name in SCHEMA_REGISTRY.ports}
    tables = Path("/proc/net/tcp"), Path("/proc/net/tcp6")
    lines = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    bound = {line[1] for line in lines if line[3] == "0A" and line[1].rpartition(":")[2] in ports}
    assert {address.rpartition(":")[2] for address in bound} == ports
    assert all(address.rpartition(":")[0].endswith("0100007F") for address in bound)


def test_what_was_registered_survives_a_kill(tmp_path: Path, contract: Contract) -> None:
    server = Server(tmp_path)
    runs = server.run()
    pid = next(runs)
    schema_id = SchemaRegistry(server.url, timeout_s=10).register("kept-value", envelope_schema(contract))
    os.kill(pid, signal.SIGKILL)
    runs.close()  # type: ignore[attr-defined]
    again = server.run()
    next(again)
    assert "Change" in SchemaRegistry(server.url, timeout_s=10).schema(schema_id)
    again.close()  # type: ignore[attr-defined]
