"""Hears from Redis itself that an instrument was written, without asking: each change, at the moment it is readable.

Redis tells a connection with `CLIENT TRACKING ON BCAST` of every key that a command has changed, after the command and
before it serves the next. A reader that asks in that moment gets the new value: so what is heard is readable. Polling
would tell less exactly and take the processor from what is measured. `cost` measures what listening itself takes.
"""

from __future__ import annotations

import re
import select
import socket
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

from benchmarks.percentiles import percentiles
from instrument_cache.connections import redis_client
from instrument_cache.errors import StoreUnavailable

_RECEIVE_BYTES: Final = 1 << 20
_TIMEOUT_S: Final = 5.0
_PROBE_WRITES: Final = 500
_PROBE_KEYS: Final = 20_000
_PROBE_KEYS_PER_CALL: Final = 100


class Heard:
    """Push messages in pieces of any size → the keys of one prefix in them."""

    def __init__(self, prefix: str) -> None:
        self._key = re.compile(rb"\$\d+\r\n(%b:[^\r\n]*)\r\n" % re.escape(prefix.encode()))
        self._rest = b""

    def feed(self, piece: bytes) -> list[str]:
        """The keys that this piece completes, with their prefix."""
        data = self._rest + piece
        end, found = 0, []
        for match in self._key.finditer(data):
            found.append(match[1].decode())
            end = match.end()
        self._rest = data[end:]
        return found


class Listener:
    """A connection that hears of every key with a prefix. Use it in a `with`."""

    def __init__(self, url: str, prefix: str) -> None:
        self._heard = Heard(prefix)
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 6379), timeout=_TIMEOUT_S)
        self._call("HELLO", "3", "AUTH", "default", unquote(parts.password or ""), "SETNAME", "benchmark-listener")
        self._call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", f"{prefix}:")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def wait(self, timeout_s: float) -> tuple[int, list[str]]:
        """Keys that were written, and when that was heard (µs since 1970). None after `timeout_s`."""
        if not select.select([self._socket], [], [], timeout_s)[0]:
            return time.time_ns() // 1000, []
        piece = self._socket.recv(_RECEIVE_BYTES)
        now_us = time.time_ns() // 1000
        if not piece:
            raise StoreUnavailable("Redis closed the connection of the listener; --logs FOLDER keeps why")
        return now_us, self._heard.feed(piece)

    def _call(self, *words: str) -> None:
        framed = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        self._socket.sendall(f"*{len(words)}\r\n{framed}".encode())
        answer = self._socket.recv(_RECEIVE_BYTES)
        if answer.startswith(b"-"):
            raise StoreUnavailable(f"Redis refused {words[0]}: {answer[:200].decode(errors='replace').strip()}")


@dataclass(frozen=True)
class Cost:
    """What listening takes: CPU of Redis for each key heard, and how much later than the writer it is heard."""

    redis_us_per_key: float
    delay_ms: dict[str, float]


def cost(url: str) -> Cost:
    """Measured on keys of its own, which are removed. Takes about two seconds."""
    client: Any = redis_client(url, name="benchmark")
    without = min(_write_us_per_key(client) for _ in range(3))
    with Listener(url, "probe") as listener:
        heard = min(_write_us_per_key(client, listener) for _ in range(3))
        delays = percentiles([_delay_ms(client, listener, f"probe:{at}") for at in range(_PROBE_WRITES)])
    for at in range(0, _PROBE_KEYS, _PROBE_KEYS_PER_CALL):
        client.delete(*(f"probe:{number}" for number in range(at, at + _PROBE_KEYS_PER_CALL)))
    return Cost(max(0.0, heard - without), delays)


def _write_us_per_key(client: Any, listener: Listener | None = None) -> float:
    """CPU µs of Redis per key, written with MSET as the guard script does."""
    before = _redis_cpu_s(client)
    for first in range(0, _PROBE_KEYS, _PROBE_KEYS_PER_CALL):
        client.mset({f"probe:{at}": "x" * 300 for at in range(first, first + _PROBE_KEYS_PER_CALL)})
        while listener and listener.wait(0)[1]:
            pass
    while listener and listener.wait(0.05)[1]:
        pass
    return (_redis_cpu_s(client) - before) * 1e6 / _PROBE_KEYS


def _redis_cpu_s(client: Any) -> float:
    used = client.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


def _delay_ms(client: Any, listener: Listener, key: str) -> float:
    """From the writer's answer to the message about the key."""
    client.set(key, "y" * 300)
    answered_us = time.time_ns() // 1000
    while True:
        heard_us, keys = listener.wait(_TIMEOUT_S)
        if key in keys or not keys:
            return max(0.0, (heard_us - answered_us) / 1000)
