"""Redis's own snapshot (RDB), taken as a replica takes it: over the replication protocol, without a shared disk.

A server that syncs without a disk of its own does not know the length before the end: it announces a mark of 40 bytes
(`$EOF:<mark>`) and sends it behind the last byte. One that wrote a file first sends the length (`$<length>`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import msgspec
import redis
from redis.exceptions import RedisError

from instrument_cache.errors import ScratchUnavailable, StoreUnavailable

# Redis gathers replicas for 5 s before it forks, and sends a sign of life each 10 s.
_SILENCE_S_MAX: Final = 60.0
_READ_BYTES: Final = 1 << 18
_MARK_BYTES: Final = 40
_HEAD: Final = b"REDIS"


class Taken(msgspec.Struct, frozen=True):
    """A snapshot in a file."""

    bytes: int
    sha256: str


def take_snapshot(client: redis.Redis, path: Path) -> Taken:
    """Write the snapshot of the server behind `client`. Raises StoreUnavailable, or ScratchUnavailable (full disk)."""
    pool: Any = client.connection_pool
    try:
        connection = pool.make_connection()
        connection.connect()
        try:
            return _taken(connection, path)
        finally:
            connection.disconnect()
    except (RedisError, ConnectionError, TimeoutError) as error:
        raise StoreUnavailable(f"Redis gave no snapshot: {error}") from error
    except OSError as error:
        raise ScratchUnavailable(f"{path} took no more of Redis's snapshot: {error.strerror}; make room") from error


def _taken(connection: Any, path: Path) -> Taken:
    connection.send_command("REPLCONF", "capa", "eof")
    connection.read_response()
    connection.send_command("SYNC")
    socket = connection._sock
    socket.settimeout(_SILENCE_S_MAX)
    head = _announcement(socket)
    with path.open("wb") as file:
        return _received(socket, head, file)


def _announcement(socket: Any) -> bytes:
    """`$…` without its end of line, past the empty lines that Redis sends while it waits."""
    line = b""
    while not line.endswith(b"\r\n"):
        line = (line + _some(socket, 1)).lstrip(b"\n")
    if not line.startswith(b"$"):
        raise RedisError(
            f"it answered SYNC with {line[:100]!r}; may this user call SYNC, and is it no replica that loads?"
        )
    return line[1:-2]


def _received(socket: Any, head: bytes, file: Any) -> Taken:
    """Copy the payload to the file; never more than was announced is read."""
    mark = head.removeprefix(b"EOF:") if head.startswith(b"EOF:") else b""
    left = None if mark else int(head)
    hashed, length, tail = hashlib.sha256(), 0, b""
    while left is None or left > 0:
        tail += _some(socket, _READ_BYTES if left is None else min(left, _READ_BYTES))
        if left is not None:
            left -= len(tail)
        ends = bool(mark) and tail.endswith(mark)
        # What may be the mark's beginning is held back.
        sure = len(tail) - (_MARK_BYTES if mark else 0)
        piece, tail = tail[: max(sure, 0)], tail[max(sure, 0) :]
        if not length and not piece.startswith(_HEAD[: len(piece)]):
            raise RedisError(f"it sent no snapshot but {piece[:20]!r}")
        length += len(piece)
        hashed.update(piece)
        file.write(piece)
        if ends:
            break
    return Taken(length, hashed.hexdigest())


def _some(socket: Any, size: int) -> bytes:
    piece: bytes = socket.recv(size)
    if not piece:
        raise RedisError("it closed the connection in the middle of its snapshot")
    return piece
