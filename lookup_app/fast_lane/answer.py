"""A WSGI answer as bytes of HTTP/1.1."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final

Headers = Sequence[tuple[str, str]]
_WITHOUT_BODY: Final = ("204", "304")


class Answer:
    """One answer while it is made: a WSGI `start_response`. `own` is added to the headers."""

    __slots__ = ("headers", "own", "status")

    def __init__(self, own: Headers = ()) -> None:
        self.status, self.headers, self.own = "", (), own  # type: tuple[str, Headers, Headers]

    def __call__(self, status: str, headers: Headers, *_: Any) -> None:
        self.status, self.headers = status, headers

    @property
    def closes(self) -> bool:
        """The connection is not to be used again."""
        return ("Connection", "close") in self.headers

    def encoded(self, parts: Iterable[bytes]) -> bytes:
        """The whole answer. A Content-Length that is not given is that of the body."""
        body = b"".join(parts)
        lines = [f"{name}: {value}\r\n" for name, value in self.headers]
        lines += [f"{name}: {value}\r\n" for name, value in self.own]
        head = "".join(lines)
        if self.status[:3] not in _WITHOUT_BODY and "Content-Length: " not in head:
            head += f"Content-Length: {len(body)}\r\n"
        return f"HTTP/1.1 {_line(self.status)}\r\n{head}date: {DATE.now()}\r\n\r\n".encode("latin-1") + body


def _line(status: str) -> str:
    """As the server writes it: with the reason of the standard, whatever the application calls it."""
    return _LINES.get(status[:3], status)


_LINES: Final = {str(status.value): f"{status.value} {status.phrase}" for status in HTTPStatus}


class _Date:
    """The header's value, made once a second. Of one thread."""

    _second, _text = -1, ""

    def now(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True)
        return self._text


DATE: Final = _Date()
