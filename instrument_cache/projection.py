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
    return msgspec.defstruct(
        "Record",
        [(field.name, cast(Any, field.type) | None, None) for field in contract.fields],
        module=__name__,
        gc=False,
    )


def projector(contract: Contract) -> Callable[[bytes, int], bytes]:
    """A function (source row, version) → payload bytes without the version member; for checks and reports.

    It takes only well-formed rows (msgspec.DecodeError otherwise); the stream's own path is `change.ChangeDecoder`.
    """
    decode = msgspec.json.Decoder(record_type(contract)).decode
    version_field = contract.version_field.name

    def project(row: bytes, version: int) -> bytes:
        record = decode(row)
        if getattr(record, version_field) is None:
            setattr(record, version_field, version)
        return encode(record)

    return project
