"""Requests that came whole and are plainly what they seem to be. Of anything else nothing is concluded here.

Not a parser of HTTP: what it does not recognise as a whole, byte by byte, goes to the server as it came. So two
readings of one request, which is how requests are smuggled, cannot differ: only one of the two ever reads it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# No query and nothing that is escaped. The key's own rules are for the service.
_LINE: Final = re.compile(rb"(GET|HEAD|POST) (/v1/[A-Za-z0-9_:/.-]{1,200}) HTTP/1\.1", re.ASCII).fullmatch
_HEADER: Final = re.compile(rb"([A-Za-z0-9-]{1,40}):[ \t]*([!-~](?:[ -~]*[!-~])?)", re.ASCII).fullmatch
_END: Final = b"\r\n\r\n"
# Header → its name in a WSGI environment. A request with any other one goes to the server.
_KNOWN: Final = {
    **{name: f"HTTP_{name.upper().replace('-', '_')}" for name in ("host", "user-agent", "accept", "accept-encoding")},
    **{name: f"HTTP_{name.upper().replace('-', '_')}" for name in ("authorization", "x-api-key", "x-request-id")},
    "if-none-match": "HTTP_IF_NONE_MATCH",
    "connection": "HTTP_CONNECTION",
    "content-type": "CONTENT_TYPE",
    "content-length": "CONTENT_LENGTH",
}
_SPECIAL: Final = frozenset(("CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_IF_NONE_MATCH", "HTTP_X_REQUEST_ID"))
_LINE_END: Final = b" HTTP/1.1\r\n"
_LINE_BYTES_MAX: Final = 300
_BLOCK_BYTES_MAX: Final = 2048
_BLOCKS_MAX: Final = 1000

Environ = dict[str, str]


class Request(NamedTuple):
    """`headers` as a WSGI environment names them; they belong to others as well and must not be changed."""

    method: str
    path: str
    headers: Environ
    body: bytes


class Requests:
    """Remembers the headers of callers that send the same ones again and again. Of one thread."""

    def __init__(self) -> None:
        self._blocks: dict[bytes, Environ | None] = {}
        # Of those, the ones with which a GET asks for nothing special.
        self._plain: dict[bytes, Environ] = {}

    def plain(self, data: bytes) -> tuple[str, Environ] | None:
        """Path and headers of a GET whose headers came before, if it is that alone. The path is not checked."""
        line_end = data.find(_LINE_END, 0, _LINE_BYTES_MAX)
        if line_end < 0 or not data.startswith(b"GET ") or not data.endswith(_END):
            return None
        headers = self._plain.get(data[line_end + len(_LINE_END) : -len(_END)])
        return None if headers is None else (data[4:line_end].decode("latin-1"), headers)

    def whole(self, data: bytes) -> Request | None:
        """The one request that `data` is; None if it is anything else."""
        end = data.find(_END)
        line_end = data.find(b"\r\n")
        line = _LINE(data[:line_end]) if 0 < line_end < end else None
        if line is None:
            return None
        headers = self._headers(data[line_end + 2 : end])
        body = data[end + len(_END) :]
        if headers is None or headers.get("CONTENT_LENGTH", "0") != str(len(body)):
            return None
        return Request(line[1].decode(), line[2].decode(), headers, body)

    def _headers(self, block: bytes) -> Environ | None:
        try:
            return self._blocks[block]
        except KeyError:
            headers = _headers_of(block)
        if len(block) <= _BLOCK_BYTES_MAX:
            if len(self._blocks) >= _BLOCKS_MAX:
                self._blocks.clear()
                self._plain.clear()
            self._blocks[block] = headers
            if headers is not None and not _SPECIAL & headers.keys():
                self._plain[block] = headers
        return headers


def _headers_of(block: bytes) -> Environ | None:
    headers: Environ = {}
    for line in block.split(b"\r\n"):
        match = _HEADER(line)
        name = _KNOWN.get(match[1].decode().lower()) if match else None
        if match is None or name is None or name in headers:
            return None
        headers[name] = match[2].decode()
    keeps = headers.get("HTTP_CONNECTION", "keep-alive").lower() == "keep-alive"
    return headers if keeps and "HTTP_HOST" in headers else None
