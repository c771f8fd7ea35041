"""Change records in Avro, in Confluent's wire format: a zero byte, the schema's id (4 bytes, big-endian), the body.

The writer's schema comes from the registry, the reader's is made of the contract, and Avro's rules of resolution stand
between them: a field that the writer does not have is null, one that the contract does not know is skipped.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final, NamedTuple, Protocol, cast

from instrument_cache.contract import Contract
from instrument_cache.errors import RejectedChange, SchemaUnusable, UnknownSchema

MAGIC: Final = b"\x00"
_HEADER_BYTES: Final = 5


class Schemas(Protocol):
    """What the decoder asks of a registry."""

    def schema(self, schema_id: int) -> str:
        """The JSON text of a schema. Raises UnknownSchema, SchemaUnusable or Unavailable."""
        ...


class _Resolution(NamedTuple):
    """How the records of one schema id are read; a `problem` if they cannot be."""

    read: Callable[[io.BytesIO], dict[str, Any]] = lambda body: {}
    problem: str = ""


class AvroChangeDecoder:
    """Decodes Avro change records of one contract.

    A schema is fetched once per id and kept: what an id means never changes. Without a registry (None) every record is
    rejected as `unknown_schema`.
    """

    def __init__(self, contract: Contract, registry: Schemas | None) -> None:
        self._contract = contract
        self._registry = registry
        self._numbers = [field.name for field in contract.fields if field.type is float]
        self._resolutions: dict[bytes, _Resolution] = {}

    def decode(self, value: bytes) -> dict[str, Any]:
        """One Kafka value → {"op", "version", "source": {…}, "record": {…}}; `record` has the contract's fields.

        Raises RejectedChange (`unknown_schema`, `malformed_avro`, `invalid_record`) for what the value is guilty of,
        and Unavailable, which is never a reject, if the registry must be asked and does not answer.
        """
        head = value[:_HEADER_BYTES]
        resolution = self._resolutions.get(head) or self._resolve(head)
        if resolution.problem:
            raise RejectedChange("unknown_schema", resolution.problem)
        body = io.BytesIO(value)
        body.seek(_HEADER_BYTES)
        try:
            change = resolution.read(body)
        except Exception as error:  # whatever the bytes make the reader raise, it is the bytes that are wrong
            raise _unreadable(error, value) from None
        if body.tell() != len(value):
            raise _malformed(f"{len(value) - body.tell()} bytes follow the record", value)
        if self._numbers:
            self._check_numbers(change["record"])
        return change

    def _check_numbers(self, record: Mapping[str, Any]) -> None:
        for name in self._numbers:
            number = record[name]
            if number is not None and not isfinite(number):
                raise RejectedChange("invalid_record", f"{name} is {number}; a number must be finite")

    def _resolve(self, head: bytes) -> _Resolution:
        if len(head) < _HEADER_BYTES or head[:1] != MAGIC:
            raise _malformed("the header is a zero byte and 4 bytes of a schema id", head)
        schema_id = int.from_bytes(head[1:], "big")
        if self._registry is None:
            raise RejectedChange(
                "unknown_schema",
                f"the value is Avro (schema {schema_id}) and ICACHE_SCHEMA_REGISTRY_URL is not set",
            )
        try:
            resolution = _Resolution(_reader(self._contract, self._registry.schema(schema_id)))
        except UnknownSchema as error:
            # Not kept here: the registry's client keeps it for a while, because the schema may be registered later.
            raise RejectedChange("unknown_schema", str(error)) from None
        except SchemaUnusable as error:
            resolution = _Resolution(problem=f"schema {schema_id} cannot be used: {error}")
        self._resolutions[head] = resolution
        return resolution


def _reader(contract: Contract, schema: str) -> Callable[[io.BytesIO], dict[str, Any]]:
    """A function that reads records of a registered schema as the contract wants them. Raises SchemaUnusable."""
    # Imported where Avro is read: who only looks instruments up does without.
    from fastavro import schemaless_reader

    from instrument_cache.avro_schema import envelope_schema, reader_schema, same_shape, writer_schema

    writer = writer_schema(schema)
    wanted = reader_schema(envelope_schema(contract), writer)
    reader = None if same_shape(writer, wanted) else wanted
    return lambda body: cast(dict[str, Any], schemaless_reader(body, writer, reader))


def encode_change(schema_id: int, schema: dict[str, Any], change: Mapping[str, Any]) -> bytes:
    """A change (the form that `decode` returns) → wire format. `schema` is what is registered under `schema_id`.

    Raises ValueError if the change does not fit the schema.
    """
    from fastavro import parse_schema, schemaless_writer

    body = io.BytesIO()
    body.write(MAGIC + schema_id.to_bytes(4, "big"))
    try:
        schemaless_writer(body, parse_schema(schema), change, strict_allow_default=True)
    except (TypeError, AttributeError, KeyError, OverflowError) as error:
        raise ValueError(f"the change does not fit schema {schema_id}: {error}") from error
    return body.getvalue()


def _unreadable(error: Exception, value: bytes) -> RejectedChange:
    from fastavro.read import SchemaResolutionError

    if isinstance(error, SchemaResolutionError):
        return RejectedChange("invalid_record", f"{_one_line(error)}; the contract wants another type")
    return _malformed(f"{type(error).__name__}: {_one_line(error)}", value)


def _malformed(detail: str, value: bytes) -> RejectedChange:
    return RejectedChange("malformed_avro", f"{detail}; the value begins with {value[:40]!r}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
