"""Avro on the wire: what goes in comes out, old and new readers and writers meet, and no bytes do harm."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument_cache.avro import AvroChangeDecoder, encode_change
from instrument_cache.avro_schema import envelope_schema
from instrument_cache.contract import Contract, Field
from instrument_cache.errors import RegistryUnavailable, RejectedChange, SchemaUnusable, UnknownSchema

V = 1_763_674_000_123_456
APPLE = "037833100"
SOURCE = {"name": "sow", "position": 7, "timestamp": V, "received_at": V + 5}


class Registry:
    """Schemas by id; an exception in place of one is raised."""

    def __init__(self, *schemas: Any) -> None:
        self.schemas = dict(enumerate(schemas, start=1))
        self.asked = 0

    def schema(self, schema_id: int) -> str:
        self.asked += 1
        found = self.schemas.get(schema_id, UnknownSchema(f"the schema registry knows no schema {schema_id}"))
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, str) else json.dumps(found)


def change(record: dict[str, object], op: str = "put", version: int = V) -> dict[str, object]:
    return {"op": op, "version": version, "source": SOURCE, "record": record}


def rejected(decoder: AvroChangeDecoder, value: bytes) -> RejectedChange:
    with pytest.raises(RejectedChange) as caught:
        decoder.decode(value)
    return caught.value


def envelope(record_fields: list[dict[str, Any]], **other: Any) -> dict[str, Any]:
    """A producer's own schema of changes."""
    record = {"type": "record", "name": "Row", "fields": record_fields}
    fields = {"op": "string", "version": "long", "record": record, **other}
    return {
        "type": "record",
        "name": "ProducersChange",
        "namespace": "com.example",
        "fields": [{"name": name, "type": kind} for name, kind in fields.items()],
    }


def names(contract: Contract) -> list[str]:
    return [field.name for field in contract.fields]


def test_what_goes_in_comes_out_with_every_field_of_the_contract(contract: Contract) -> None:
    schema = envelope_schema(contract)
    decoder = AvroChangeDecoder(contract, Registry(schema))
    decoded = decoder.decode(encode_change(1, schema, change({"cusip": APPLE, "name": "Äpple", "last_updated": V})))
    assert (decoded["op"], decoded["version"], decoded["source"]) == ("put", V, SOURCE)
    assert decoded["record"] == {**dict.fromkeys(names(contract)), "cusip": APPLE, "name": "Äpple", "last_updated": V}


texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
records = st.fixed_dictionaries({}, optional={name: texts for name in ("cusip", "pme", "isin", "symbol", "name")})


@given(record=records, op=st.sampled_from(["put", "delete", "canary"]), version=st.integers(-(2**63), 2**63 - 1))
def test_round_trip(contract: Contract, record: dict[str, str | None], op: str, version: int) -> None:
    schema = envelope_schema(contract)
    value = encode_change(1, schema, change(dict(record), op, version))
    decoded = AvroChangeDecoder(contract, Registry(schema)).decode(value)
    assert decoded == {**change({**dict.fromkeys(names(contract)), **record}, op, version)}


def test_a_schema_is_asked_for_once(contract: Contract) -> None:
    schema = envelope_schema(contract)
    registry = Registry(schema)
    decoder = AvroChangeDecoder(contract, registry)
    for _ in range(3):
        decoder.decode(encode_change(1, schema, change({"cusip": APPLE})))
    assert registry.asked == 1


def newer(contract: Contract) -> Contract:
    """The next version: one field more, one fewer, in another order."""
    fields = tuple(reversed([field for field in contract.fields if field.name != "figi"]))
    return replace(contract, fields=(Field("sector", str), *fields), version="2.0.0")


def test_an_old_reader_takes_new_records_and_a_new_reader_old_ones(contract: Contract) -> None:
    old, new = envelope_schema(contract), envelope_schema(newer(contract))
    registry = Registry(old, new)
    of_old = encode_change(1, old, change({"cusip": APPLE, "figi": "F"}))
    of_new = encode_change(2, new, change({"cusip": APPLE, "sector": "Energy"}))
    old_reader, new_reader = AvroChangeDecoder(contract, registry), AvroChangeDecoder(newer(contract), registry)
    assert old_reader.decode(of_new)["record"] == {**dict.fromkeys(names(contract)), "cusip": APPLE}
    assert new_reader.decode(of_old)["record"] == {**dict.fromkeys(names(newer(contract))), "cusip": APPLE}
    assert new_reader.decode(of_new)["record"]["sector"] == "Energy"


def test_a_producer_may_name_and_type_things_its_own_way(contract: Contract) -> None:
    op = {"type": "enum", "name": "Op", "symbols": ["put", "delete"]}
    timestamp = {"type": "long", "logicalType": "timestamp-micros"}
    row = [
        {"name": "cusip", "type": "string"},
        {"name": "last_updated", "type": timestamp},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "name", "type": ["string", "null"]},
    ]
    theirs = envelope(row, op=op)
    theirs["fields"][2]["type"] = ["null", theirs["fields"][2]["type"]]
    record = {"cusip": APPLE, "last_updated": V, "tags": ["a", "b"], "name": None}
    value = encode_change(1, theirs, {"op": "delete", "version": V, "record": record})
    decoded = AvroChangeDecoder(contract, Registry(theirs)).decode(value)
    assert (decoded["op"], decoded["version"]) == ("delete", V)
    assert decoded["source"] == {"name": "", "position": 0, "timestamp": 0, "received_at": 0}
    assert decoded["record"] == {**dict.fromkeys(names(contract)), "cusip": APPLE, "last_updated": V}


def good(contract: Contract) -> bytes:
    return encode_change(1, envelope_schema(contract), change({"cusip": APPLE, "name": "Apple"}))


HUGE = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"  # a length of 2⁶³ - 1
BAD = {
    "only the zero byte": (lambda good: good[:1], "malformed_avro"),
    "half an id": (lambda good: good[:3], "malformed_avro"),
    "no body": (lambda good: good[:5], "malformed_avro"),
    "truncated": (lambda good: good[:-1], "malformed_avro"),
    "trailing bytes": (lambda good: good + b"\x00", "malformed_avro"),
    "huge length": (lambda good: good[:5] + HUGE + good[5:], "malformed_avro"),
    "gigabyte length": (lambda good: good[:5] + b"\x80\x80\x80\x80\x08" + good[6:], "malformed_avro"),
    "negative length": (lambda good: good[:5] + b"\x01" + good[6:], "malformed_avro"),
    "endless number": (lambda good: good[:5] + b"\xff" * 1000, "malformed_avro"),
    "not utf-8": (lambda good: good.replace(b"Apple", b"App\xff\xfe"), "malformed_avro"),
    "lone surrogate": (lambda good: good.replace(b"Apple", b"Ap\xed\xa0\x80"), "malformed_avro"),
    "branch of no union": (lambda good: good[: good.index(APPLE.encode()) - 2] + b"\x7e", "malformed_avro"),
    "unknown id": (lambda good: b"\x00\x00\x00\x03\xe7" + good[5:], "unknown_schema"),
    "not the wire format": (lambda good: b"Obj\x01" + good, "malformed_avro"),
}


@pytest.mark.parametrize(("spoil", "code"), BAD.values(), ids=BAD.keys())
def test_bad_bytes_are_rejected_with_their_reason(contract: Contract, spoil: Any, code: str) -> None:
    decoder = AvroChangeDecoder(contract, Registry(envelope_schema(contract)))
    error = rejected(decoder, spoil(good(contract)))
    assert error.code == code
    assert len(str(error)) > len(code) + 10


@given(body=st.binary(max_size=200))
def test_no_bytes_whatever_raise_anything_else(contract: Contract, body: bytes) -> None:
    decoder = AvroChangeDecoder(contract, Registry(envelope_schema(contract)))
    try:
        decoder.decode(b"\x00\x00\x00\x00\x01" + body)
    except RejectedChange as error:
        assert error.code in ("malformed_avro", "invalid_record")  # noqa: PT017 most bodies are rejected, not all


def test_a_length_is_not_believed_before_the_bytes_are_there(contract: Contract) -> None:
    decoder = AvroChangeDecoder(contract, Registry(envelope_schema(contract)))
    value = good(contract)[:5] + b"\x80\x80\x80\x80\x40" + b"x" * 100  # a text of 8 GB
    rejected(decoder, value)
    tracemalloc.start()
    rejected(decoder, value)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


CUSIP = {"name": "cusip", "type": "string"}
WRONG_TYPE = {
    "a number where a text is": ([{"name": "cusip", "type": "long"}], {"cusip": 5}),
    "a text where a number is": (
        [CUSIP, {"name": "last_updated", "type": "string"}],
        {"cusip": "x", "last_updated": "y"},
    ),
    "an array where a text is": (
        [CUSIP, {"name": "name", "type": {"type": "array", "items": "string"}}],
        {"cusip": "x", "name": ["y"]},
    ),
}


@pytest.mark.parametrize(("fields", "record"), WRONG_TYPE.values(), ids=WRONG_TYPE.keys())
def test_another_type_than_the_contract_s_is_an_invalid_record(
    contract: Contract, fields: list[dict[str, Any]], record: dict[str, object]
) -> None:
    schema = envelope(fields)
    value = encode_change(1, schema, {"op": "put", "version": V, "record": record})
    assert rejected(AvroChangeDecoder(contract, Registry(schema)), value).code == "invalid_record"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_must_be_finite(contract: Contract, number: float) -> None:
    contract = replace(contract, fields=(*contract.fields, Field("price", float)))
    schema = envelope_schema(contract)
    decoder = AvroChangeDecoder(contract, Registry(schema))
    assert rejected(decoder, encode_change(1, schema, change({"price": number}))).code == "invalid_record"
    assert decoder.decode(encode_change(1, schema, change({"price": 1.5})))["record"]["price"] == 1.5


def _doubling(levels: int) -> dict[str, Any]:
    """A record of two records of two records of …, without a byte in it."""
    kind: Any = {"type": "record", "name": "L0", "fields": []}
    for level in range(1, levels):
        name = f"L{level - 1}"
        kind = {
            "type": "record",
            "name": f"L{level}",
            "fields": [{"name": "a", "type": kind}, {"name": "b", "type": name}],
        }
    return {"name": "x", "type": kind}


def _nested(levels: int) -> dict[str, Any]:
    kind: Any = "string"
    for _ in range(levels):
        kind = {"type": "array", "items": kind}
    return {"name": "x", "type": kind}


LIST = {"type": "record", "name": "List", "fields": [{"name": "next", "type": ["null", "List"]}]}
UNUSABLE: dict[str, Any] = {
    "no JSON": "{",
    "deep JSON": "[" * 100_000,
    "no Avro": {"type": "nonsense"},
    "a text": "string",
    "no change": {"type": "record", "name": "R", "fields": [{"name": "cusip", "type": "string"}]},
    "holds itself": envelope([CUSIP, {"name": "x", "type": LIST}]),
    "items of no bytes": envelope([CUSIP, {"name": "x", "type": {"type": "array", "items": "null"}}]),
    "items that are empty records": envelope(
        [CUSIP, {"name": "x", "type": {"type": "array", "items": {"type": "record", "name": "E", "fields": []}}}]
    ),
    "items of fixed size 0": envelope(
        [CUSIP, {"name": "x", "type": {"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}}]
    ),
    "doubles and doubles": envelope([CUSIP, _doubling(25)]),
    "deep": envelope([CUSIP, _nested(40)]),
    "very long": " " * 1_000_001,
    "refused by the registry's client": SchemaUnusable("it is of the type 'PROTOBUF'"),
}


@pytest.mark.parametrize("schema", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_schema_that_cannot_be_used_rejects_its_records_and_is_asked_for_once(
    contract: Contract, schema: object
) -> None:
    registry = Registry(json.dumps(schema) if schema == "string" else schema)
    decoder = AvroChangeDecoder(contract, registry)
    for _ in range(2):
        error = rejected(decoder, b"\x00\x00\x00\x00\x01" + b"\x02" * 60_000)
        assert error.code == "unknown_schema"
        assert "schema 1 cannot be used" in str(error)
    assert registry.asked == 1


def test_a_registry_that_is_away_is_no_reason_to_reject(contract: Contract) -> None:
    registry = Registry(RegistryUnavailable("away"))
    decoder = AvroChangeDecoder(contract, registry)
    with pytest.raises(RegistryUnavailable):
        decoder.decode(good(contract))
    registry.schemas[1] = envelope_schema(contract)
    assert decoder.decode(good(contract))["op"] == "put"
    registry.schemas[1] = RegistryUnavailable("away again")
    assert decoder.decode(good(contract))["op"] == "put"


def test_an_unknown_id_is_known_as_soon_as_the_registry_says_so(contract: Contract) -> None:
    registry = Registry()
    decoder = AvroChangeDecoder(contract, registry)
    assert rejected(decoder, good(contract)).code == "unknown_schema"
    registry.schemas[1] = envelope_schema(contract)
    assert decoder.decode(good(contract))["op"] == "put"


def test_without_a_registry_avro_is_rejected_and_says_so(contract: Contract) -> None:
    error = rejected(AvroChangeDecoder(contract, None), good(contract))
    assert error.code == "unknown_schema"
    assert "ICACHE_SCHEMA_REGISTRY_URL" in str(error)


def test_what_does_not_fit_the_schema_is_not_encoded(contract: Contract) -> None:
    for record in ({"cusip": 5}, {"cusip": "x", "last_updated": 2**63}):
        with pytest.raises(ValueError, match=r"."):
            encode_change(1, envelope_schema(contract), change(dict(record)))


def test_who_reads_no_avro_needs_no_avro_library() -> None:
    program = "import sys; sys.modules['fastavro'] = None; import instrument_cache.change"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
