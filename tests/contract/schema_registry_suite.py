"""What the registry's client promises, asked of whatever server the module that imports this has as `registry_url`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from instrument_cache.avro import AvroChangeDecoder, encode_change
from instrument_cache.avro_schema import Schema, envelope_schema
from instrument_cache.contract import Contract, Field
from instrument_cache.errors import RejectedChange, UnknownSchema
from instrument_cache.schema_registry import SchemaRefused, SchemaRegistry

V = 1_763_674_000_123_456
NEVER = 2_000_000_000
SOURCE = {"name": "sow", "position": 1, "timestamp": V, "received_at": V}


@pytest.fixture
def registry(registry_url: str) -> Iterator[SchemaRegistry]:
    client = SchemaRegistry(registry_url, timeout_s=10)
    yield client
    client.close()


@pytest.fixture
def subject() -> str:
    return f"test-{uuid.uuid4().hex}-value"


def more(contract: Contract) -> Schema:
    return envelope_schema(replace(contract, fields=(*contract.fields, Field("sector", str))))


def other_type(contract: Contract) -> Schema:
    fields = tuple(replace(field, type=int) if field.name == "name" else field for field in contract.fields)
    return envelope_schema(replace(contract, fields=fields))


def test_answers(registry: SchemaRegistry) -> None:
    registry.check()


def test_what_is_registered_decodes(registry: SchemaRegistry, subject: str, contract: Contract) -> None:
    schema = envelope_schema(contract)
    schema_id = registry.register(subject, schema)
    change = {"op": "put", "version": V, "source": SOURCE, "record": {"cusip": "037833100"}}
    decoded = AvroChangeDecoder(contract, registry).decode(encode_change(schema_id, schema, change))
    assert decoded["record"]["cusip"] == "037833100"


def test_the_same_schema_keeps_its_id(registry: SchemaRegistry, subject: str, contract: Contract) -> None:
    assert registry.register(subject, envelope_schema(contract)) == registry.register(
        subject, envelope_schema(contract)
    )


def test_an_unknown_id_is_unknown_and_rejected(registry: SchemaRegistry, contract: Contract) -> None:
    with pytest.raises(UnknownSchema):
        registry.schema(NEVER)
    with pytest.raises(RejectedChange) as caught:
        AvroChangeDecoder(contract, registry).decode(b"\x00" + NEVER.to_bytes(4, "big") + b"x")
    assert caught.value.code == "unknown_schema"


def test_a_schema_that_breaks_is_told_and_refused(registry: SchemaRegistry, subject: str, contract: Contract) -> None:
    registry.register(subject, envelope_schema(contract))
    registry.set_compatibility(subject, "FULL_TRANSITIVE")
    assert registry.incompatibilities(subject, more(contract)) == []
    registry.register(subject, more(contract))
    assert registry.incompatibilities(subject, other_type(contract)) != []
    with pytest.raises(SchemaRefused):
        registry.register(subject, other_type(contract))


def test_under_a_new_subject_nothing_is_incompatible(
    registry: SchemaRegistry, subject: str, contract: Contract
) -> None:
    assert registry.incompatibilities(subject, envelope_schema(contract)) == []


def test_what_is_no_schema_is_refused(registry: SchemaRegistry, subject: str) -> None:
    with pytest.raises(SchemaRefused):
        registry.register(subject, {"type": "nonsense"})
