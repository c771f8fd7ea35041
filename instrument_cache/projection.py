"""A source's record → the minimal payload that the cache keeps: the contract's fields, in the contract's order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

from instrument_cache.contract import Contract

encode = msgspec.json.Encoder().encode


def record_type(contract: Contract) -> type[msgspec.Struct]:
    """A struct type with the contract's fields, each optional and `None` where absent.

    Decoding into it ignores other fields; encoding it writes every field in order, so that all answers have one shape.
    """
    return msgspec.defstruct("Record", _members(contract), module=__name__, gc=False)


def stored_type(contract: Contract) -> type[msgspec.Struct]:
    """The same with the version `v` in front, which the decoder sets: encoded, it is the value that the store keeps."""
    # Whatever a source calls `v` must not make its record invalid.
    return msgspec.defstruct("StoredRecord", [("v", Any, 0), *_members(contract)], module=__name__, gc=False)


def _members(contract: Contract) -> list[tuple[str, Any, None]]:
    return [(field.name, cast(Any, field.type) | None, None) for field in contract.fields]


def projector(contract: Contract) -> Callable[[bytes, int], bytes]:
    """A function (source row, version) → payload bytes without the version member; for checks and reports.

    It takes only well-formed rows (msgspec.DecodeError otherwise); the stream's own path is `change.ChangeDecoder`.
    """
    decode = msgspec.json.Decoder(record_type(contract)).decode
    version_field = contract.version_field.name

    def project(row: bytes, version: int) -> bytes:
        record = decode(row)
        if getattr(record, version_field) is None:
            setattr(record, version_field, contract.version_unit.from_wire(version))
        return encode(record)

    return project
