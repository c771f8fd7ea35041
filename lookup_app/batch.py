"""The body of a batch: what is asked, and the answer joined from stored bytes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from instrument_cache.projection import encode
from lookup_app.entries import Instrument
from lookup_app.problems import Problem, ProblemType


class _BatchRequest(msgspec.Struct, forbid_unknown_fields=True):
    ids: list[str]


_decode = msgspec.json.Decoder(_BatchRequest).decode
_SHAPE = 'The body must be JSON of the form {"ids": ["037833100", …]}'


def ids_of(body: bytes, ids_max: int) -> list[str]:
    """The ids that a body asks for, in order. Raises Problem for another shape, or for not 1 to `ids_max` ids."""
    try:
        ids = _decode(body).ids
    except RecursionError:
        raise Problem(ProblemType.INVALID_BODY, f"{_SHAPE}; this one is nested too deeply to be read.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(ProblemType.INVALID_BODY, f"{_SHAPE}: {error}.") from None
    if not 1 <= len(ids) <= ids_max:
        detail = f"The batch has {len(ids)} ids; it may have 1 to {ids_max}."
        raise Problem(ProblemType.INVALID_BATCH_SIZE, detail, {"count": len(ids), "limit": ids_max})
    return ids


def batch_body(ids: Sequence[str], results: Sequence[Instrument | Problem]) -> bytes:
    """`{"results":[…]}`: each id as it was asked, with its instrument or its problem."""
    return b'{"results":[%b]}' % b",".join([_item(text, result) for text, result in zip(ids, results, strict=True)])


def _item(text: str, result: Instrument | Problem) -> bytes:
    if isinstance(result, Instrument):
        return b'{"id":%b,"status":200,"instrument":%b}' % (encode(text), result.body)
    return b'{"id":%b,"status":%d,"problem":%b}' % (encode(text), result.kind.status, result.body())
