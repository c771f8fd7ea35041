"""One request of HTTP/1.1 without a body, which is all that this process takes: its head, read strictly."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from lookup_app.problems import VALUE_CHARACTERS_MAX, Problem, ProblemType

# A list of 1,000 ids fits into the first line.
HEAD_BYTES_MAX: Final = 64 * 1024
HEAD_S_MAX: Final = 10.0
_FIRST_LINE: Final = re.compile(rb"([A-Z]{1,20}) (/[\x21-\x7e]*) HTTP/1\.[01]")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"[\x20-\x7e\x80-\xff\t]*")
_PARAMETERS_MAX: Final = 20


class Request(NamedTuple):
    """`path` is decoded, `query` is what stands behind the question mark, `headers` have lower-case names."""

    method: str
    path: str
    query: str
    headers: dict[str, str]

    def parameters(self, names: Sequence[str]) -> dict[str, str]:
        """The query's parameters. Raises Problem for one that is not of `names`, or that is given twice."""
        try:
            given = parse_qsl(self.query, keep_blank_values=True, errors="strict", max_num_fields=_PARAMETERS_MAX)
        except ValueError:
            raise _invalid_query("The query is not UTF-8, or has too many parameters.", names) from None
        found: dict[str, str] = {}
        for name, value in given:
            if name not in names or name in found:
                what = "was given twice" if name in found else "is not known"
                raise _invalid_query(f"The parameter {name[:VALUE_CHARACTERS_MAX]!r} {what}.", names)
            found[name] = value
        return found


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The request on a new connection; None if none came in time. Raises Problem if it cannot be used."""
    try:
        async with asyncio.timeout(HEAD_S_MAX):
            head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
        return None
    except asyncio.LimitOverrunError:
        raise _bad_request(f"The head of the request is longer than {HEAD_BYTES_MAX} bytes.") from None
    return parse_head(head)


def parse_head(head: bytes) -> Request:
    """A head with its empty line → the request. Raises Problem."""
    first, *lines = head[:-4].split(b"\r\n")
    found = _FIRST_LINE.fullmatch(first)
    if found is None:
        raise _bad_request("The first line is no request of HTTP/1.1.")
    headers: dict[str, str] = {}
    for line in lines:
        raw_name, colon, raw_value = line.partition(b":")
        if not colon or not _NAME.fullmatch(raw_name) or not _VALUE.fullmatch(raw_value):
            raise _bad_request("A header is not well formed.")
        name = raw_name.decode("ascii").lower()
        if name in headers:
            raise _bad_request(f"The header {name[:VALUE_CHARACTERS_MAX]!r} was given twice.")
        headers[name] = raw_value.decode("latin-1").strip(" \t")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise _bad_request("A request here has no body.")
    path, _, query = found[2].decode("ascii").partition("?")
    return Request(found[1].decode("ascii"), _decoded(path), query, headers)


def _decoded(path: str) -> str:
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise _bad_request("The path is not UTF-8.") from None


def _bad_request(detail: str) -> Problem:
    return Problem(ProblemType.BAD_REQUEST, detail)


def _invalid_query(what: str, names: Sequence[str]) -> Problem:
    detail = f"{what} The parameters here are: {', '.join(names)}."
    return Problem(ProblemType.INVALID_QUERY, detail, {"parameters": list(names)})
