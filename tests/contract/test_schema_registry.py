"""The registry's client on the stand-in: the suite that the real registry passes too, and servers that misbehave."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from instrument_cache.avro_schema import envelope_schema
from instrument_cache.contract import Contract
from instrument_cache.errors import RegistryUnavailable, SchemaUnusable, UnknownSchema
from instrument_cache.schema_registry import SchemaRegistry, registry_of
from instrument_cache.settings import Environment
from tests.contract.schema_registry_suite import *  # noqa: F403
from tests.schema_registry import RegistryStandIn, registry_stand_in
from tests.servers import free_port


@pytest.fixture
def server() -> Iterator[RegistryStandIn]:
    with registry_stand_in() as server:
        yield server


@pytest.fixture
def registry_url(server: RegistryStandIn) -> str:
    return server.url


@pytest.fixture
def client(server: RegistryStandIn, now: list[float]) -> Iterator[SchemaRegistry]:
    client = SchemaRegistry(server.url, timeout_s=0.5, unknown_s=30, unknown_max=2, monotonic=lambda: now[0])
    yield client
    client.close()


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


def test_a_known_id_is_asked_for_once(server: RegistryStandIn, client: SchemaRegistry, contract: Contract) -> None:
    schema_id = client.register("s", envelope_schema(contract))
    assert client.schema(schema_id) == client.schema(schema_id)
    assert server.asked.count(f"GET /schemas/ids/{schema_id}") == 1


def test_an_unknown_id_is_asked_for_again_after_a_while(
    server: RegistryStandIn, client: SchemaRegistry, now: list[float]
) -> None:
    for passed_s, asked in ((0, 1), (29, 1), (2, 2)):
        now[0] += passed_s
        with pytest.raises(UnknownSchema):
            client.schema(1)
        assert len(server.asked) == asked
    now[0] += 31
    server.schemas[1] = {"schema": '"string"'}
    assert client.schema(1) == '"string"'


def test_only_so_many_unknown_ids_are_remembered(server: RegistryStandIn, client: SchemaRegistry) -> None:
    for schema_id in (1, 2, 3, 3, 2, 1):
        with pytest.raises(UnknownSchema):
            client.schema(schema_id)
    assert [path.rpartition("/")[2] for path in server.asked] == ["1", "2", "3", "1"]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (500, b'{"error_code":50001,"message":"store"}'),
        (503, b"no"),
        (429, b"{}"),
        (401, b'{"error_code":40101}'),
        (404, b"<html>no such page</html>"),
        (404, b'{"error_code":404,"message":"HTTP 404 Not Found"}'),
        (302, b""),
        (200, b"<html>a portal</html>"),
        (200, b"[]"),
        (200, b'{"id":1}'),
        (200, b'{"schema":5}'),
        (200, b"[" * 100_000),
        (200, b" " * 5_000_000),
    ],
)
def test_an_answer_that_is_no_registry_s_is_unavailable_and_not_remembered(
    server: RegistryStandIn, client: SchemaRegistry, status: int, text: bytes
) -> None:
    server.schemas[1] = {"schema": '"string"'}
    server.answers.append((status, text))
    with pytest.raises(RegistryUnavailable):
        client.schema(1)
    assert client.schema(1) == '"string"'


@pytest.mark.parametrize(
    "answer",
    [
        {"schema": "syntax = 'proto3';", "schemaType": "PROTOBUF"},
        {"schema": '"x.Y"', "references": [{"name": "x.Y", "subject": "y", "version": 1}]},
    ],
)
def test_what_is_no_avro_by_itself_is_unusable(
    server: RegistryStandIn, client: SchemaRegistry, answer: dict[str, object]
) -> None:
    server.schemas[1] = answer
    for _ in range(2):
        with pytest.raises(SchemaUnusable):
            client.schema(1)
    assert len(server.asked) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:{closed}", "http://user:geheim@127.0.0.1:{closed}/x", "no-url"])
def test_a_registry_that_is_away_is_unavailable_and_its_password_is_not_told(url: str) -> None:
    client = SchemaRegistry(url.format(closed=free_port()), timeout_s=0.5)
    for ask in (client.check, lambda: client.schema(1), lambda: client.register("s", {})):
        with pytest.raises(RegistryUnavailable) as caught:
            ask()
        assert "geheim" not in str(caught.value)


def test_a_registry_that_hangs_is_unavailable_in_time(server: RegistryStandIn, client: SchemaRegistry) -> None:
    release = threading.Event()
    server.answer = lambda *_: (release.wait(10), (200, {}))[1]  # type: ignore[method-assign]
    with pytest.raises(RegistryUnavailable):
        client.schema(1)
    release.set()


def test_the_setting_names_it() -> None:
    assert registry_of(Environment({})) is None
    assert registry_of(Environment({"ICACHE_SCHEMA_REGISTRY_URL": "http://127.0.0.1:1"})) is not None
