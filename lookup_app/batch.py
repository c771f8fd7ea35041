"""The body of a batch: what is asked, and the answer joined from stored bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from instrument_cache.projection import encode
from lookup_app.entries import Instrument
from lookup_app.problems import Problem, ProblemType

NDJSON: Final = "application/x-ndjson"


class BatchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a batch asks for. `by` is an alias of the contract, None: the key; `fields` None: all of them."""

    ids: list[str]
    by: str | None = None
    fields: list[str] | None = None


_decode = msgspec.json.Decoder(BatchRequest).decode
_decode_id = msgspec.json.Decoder(str).decode
_SHAPE = 'The body must be JSON of the form {"ids": ["037833100", …]}'
_LINES = 'The body must be one id per line, as a JSON string: "037833100"'


def batch_of(body: bytes, ids_max: int) -> BatchRequest:
    """What a JSON body asks for. Raises Problem for another shape, or for not 1 to `ids_max` ids."""
    try:
        request = _decode(body)
    except RecursionError:
        raise Problem(ProblemType.INVALID_BODY, f"{_SHAPE}; this one is nested too deeply to be read.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(ProblemType.INVALID_BODY, f"{_SHAPE}: {error}.") from None
    _check_size(len(request.ids), ids_max)
    return request


def batch_of_lines(body: bytes, ids_max: int) -> BatchRequest:
    """What an NDJSON body asks for; empty lines are passed over. Raises as `batch_of`."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    _check_size(len(lines), ids_max)
    return BatchRequest([_id_of(number, line) for number, line in enumerate(lines, start=1)])


def batch_body(ids: Sequence[str], results: Sequence[Instrument | Problem]) -> bytes:
    """`{"results":[…]}`: each id as it was asked, with its instrument or its problem."""
    return b'{"results":[%b]}' % b",".join(_items(ids, results))


def batch_lines(ids: Sequence[str], results: Sequence[Instrument | Problem]) -> bytes:
    """The same as NDJSON: one result per line."""
    return b"".join([item + b"\n" for item in _items(ids, results)])


def stale_s_max(results: Iterable[Instrument | Problem]) -> float | None:
    """The age of the oldest result; None if all are coherent."""
    return max((result.stale_s for result in results if result.stale_s is not None), default=None)


def _items(ids: Sequence[str], results: Sequence[Instrument | Problem]) -> list[bytes]:
    return [_item(text, result) for text, result in zip(ids, results, strict=True)]


def _item(text: str, result: Instrument | Problem) -> bytes:
    if isinstance(result, Instrument):
        return b'{"id":%b,"status":200,"instrument":%b}' % (encode(text), result.body)
    return b'{"id":%b,"status":%d,"problem":%b}' % (encode(text), result.kind.status, result.body())


def _check_size(count: int, ids_max: int) -> None:
    if not 1 <= count <= ids_max:
        detail = f"The batch has {count} ids; it may have 1 to {ids_max}."
        raise Problem(ProblemType.INVALID_BATCH_SIZE, detail, {"count": count, "limit": ids_max})


def _id_of(number: int, line: bytes) -> str:
    try:
        return _decode_id(line)
    except RecursionError:
        raise Problem(ProblemType.INVALID_BODY, f"{_LINES}; line {number} is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(ProblemType.INVALID_BODY, f"{_LINES}; line {number}: {error}.") from None
