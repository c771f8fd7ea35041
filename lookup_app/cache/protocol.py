"""The part of RESP3 that the tracking connection speaks: answers and pushes, cut out of a stream of bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from instrument_cache.errors import StoreUnavailable

_INVALIDATE: Final = b">2\r\n$10\r\ninvalidate\r\n*"
_CRLF: Final = b"\r\n"


class ErrorReply(NamedTuple):
    """Redis refused a command."""

    text: str

    def __str__(self) -> str:
        return f"Redis answered {self.text!r}"


class Push(NamedTuple):
    """A message that is no answer. `keys`: those that changed; None of an `invalidate`: all of them."""

    kind: str
    keys: list[str] | None


class _Incomplete(Exception):
    """The rest has not come yet."""


def command(*words: str) -> bytes:
    """A command as bytes."""
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded])


class Replies:
    """Collects bytes and gives out whole replies: bytes, int, list, dict, None, ErrorReply or Push."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> list[object]:
        """The replies that are complete with these bytes. Raises StoreUnavailable for what is not RESP."""
        self._data += data
        at, replies = 0, []
        try:
            while at < len(self._data):
                reply, at = _reply(self._data, at)
                replies.append(reply)
        except _Incomplete:
            pass
        self._data = self._data[at:]
        return replies


def _reply(data: bytes, at: int) -> tuple[object, int]:
    """The reply at `at`, and where the next one begins."""
    if data.startswith(_INVALIDATE, at):  # nearly all that comes
        keys, at = _keys(data, at + len(_INVALIDATE))
        return Push("invalidate", keys), at
    line, at = _line(data, at)
    read = _READERS.get(line[:1])
    if read is None:
        raise StoreUnavailable(f"what came on the tracking connection is not RESP: {line[:40]!r}")
    return read(line[1:], data, at)


def _line(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.find(_CRLF, at)
    if end < 0:
        raise _Incomplete
    return data[at:end], end + 2


def _keys(data: bytes, at: int) -> tuple[list[str], int]:
    """The keys of an invalidation, whose count begins at `at`."""
    line, at = _line(data, at)
    find, size_of_data, keys = data.find, len(data), []
    for _ in range(int(line)):
        end = find(_CRLF, at)
        if end < 0:
            raise _Incomplete
        begin = end + 2
        end = begin + int(data[at + 1 : end])
        at = end + 2
        if at > size_of_data:
            raise _Incomplete
        keys.append(data[begin:end].decode("utf-8", "surrogateescape"))
    return keys, at


def _text(line: bytes, data: bytes, at: int) -> tuple[object, int]:
    return line, at


def _number(line: bytes, data: bytes, at: int) -> tuple[object, int]:
    return int(line), at


def _none(line: bytes, data: bytes, at: int) -> tuple[object, int]:
    return None, at


def _error(line: bytes, data: bytes, at: int) -> tuple[object, int]:
    return ErrorReply(line.decode("utf-8", "replace")), at


def _bulk(line: bytes, data: bytes, at: int) -> tuple[object, int]:
    size = int(line)
    if size < 0:
        return None, at
    if at + size + 2 > len(data):
        raise _Incomplete
    return data[at : at + size], at + size + 2


def _array(line: bytes, data: bytes, at: int) -> tuple[object, int]:
    items: list[object] = []
    for _ in range(int(line)):
        item, at = _reply(data, at)
        items.append(item)
    return items, at


def _map(line: bytes, data: bytes, at: int) -> tuple[object, int]:
    return _array(b"%d" % (2 * int(line)), data, at)


def _push(line: bytes, data: bytes, at: int) -> tuple[object, int]:
    items, at = _array(line, data, at)
    assert isinstance(items, list)
    return Push(items[0].decode(), None), at


_Reader = Callable[[bytes, bytes, int], tuple[object, int]]
_READERS: Final[dict[bytes, _Reader]] = {
    b"+": _text,
    b":": _number,
    b",": _text,
    b"#": _text,
    b"_": _none,
    b"-": _error,
    b"$": _bulk,
    b"=": _bulk,
    b"*": _array,
    b"~": _array,
    b"%": _map,
    b">": _push,
}
