"""The versioned store on Redis: `guard.lua` is the writer of instruments, `settle.lua` that of the account.

Only repairs go past the guard: `replace.lua` exchanges exactly what was seen.

The one hot command is written as protocol bytes by hand: packing 1000 keys through the client's general path costs more
than the rest of the batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from itertools import compress, count, islice
from typing import Any, Final
from uuid import uuid4

import msgspec
import redis
from redis.exceptions import NoScriptError, RedisError

from instrument_cache.account import PartitionAccount, totals
from instrument_cache.errors import StoreUnavailable
from instrument_cache.lag import LagHistogram, histograms
from instrument_cache.store.interface import Entry, NotSettled, Position, Replacement

_SCRIPTS: Final = resources.files("instrument_cache.store")
GUARD: Final = _SCRIPTS.joinpath("guard.lua").read_bytes()
SETTLE: Final = _SCRIPTS.joinpath("settle.lua").read_bytes()
REPLACE: Final = _SCRIPTS.joinpath("replace.lua").read_bytes()
UNEQUAL: Final = _SCRIPTS.joinpath("unequal.lua").read_bytes()
KEYS: Final = _SCRIPTS.joinpath("keys.lua").read_bytes()
_GUARD_SHA: Final = hashlib.sha1(GUARD).hexdigest().encode()
_SETTLE_SHA: Final = hashlib.sha1(SETTLE).hexdigest().encode()
_REPLACE_SHA: Final = hashlib.sha1(REPLACE).hexdigest().encode()
_UNEQUAL_SHA: Final = hashlib.sha1(UNEQUAL).hexdigest().encode()
_KEYS_SHA: Final = hashlib.sha1(KEYS).hexdigest().encode()
# One script call blocks Redis for about 3 µs per key, and readers wait for it.
KEYS_PER_CALL: Final = 1000
_SCAN_PAGE: Final = 1000
# Of what looks at all keys: readers wait for 0.05 ms, and get their turn between two pages.
_COMPARED_KEYS: Final = 32
_LISTED_KEYS: Final = 64
# Of what a repair exchanges: readers wait for 0.2 ms at most.
_REPLACED_KEYS: Final = 100
_LENGTHS_KEPT: Final = 1024
_LENGTHS: Final = tuple(b"\r\n$%d\r\n" % size for size in range(_LENGTHS_KEPT))
_BYTES_OR_NONE: Final = (b"string", b"none")
_COUNTERS: Final = tuple(name for name in PartitionAccount.__struct_fields__ if name not in ("partition", "holes"))


class RedisStore:
    """Implements `VersionedStore`. Safe to share between threads: each call takes a connection of its own."""

    def __init__(self, client: redis.Redis, dataset: str) -> None:
        self._client: Any = client
        self._pool: Any = client.connection_pool
        self._account_key = f"account:{dataset}:"
        self._lag_key = f"lag:{dataset}"
        self._tally_key = f"tally:{dataset}:{uuid4().hex}"
        self._exchanges = count()

    def offer(self, values: Mapping[str, bytes], expires_at_ms: Mapping[str, int] | None = None) -> str:
        calls = list(_guard_calls(values, expires_at_ms or {}))
        if not calls:
            return ""
        with _unavailable(f"Redis did not take {len(values)} changes"):
            try:
                return b"".join(self._ask(calls)).decode()
            except NoScriptError:
                self.load_scripts()
                # Calls before the failed one may have happened; offered again they are duplicates of themselves.
                return b"".join(self._ask(calls)).decode()

    def _ask(self, calls: list[bytes]) -> list[Any]:
        exchange = RedisExchange(self._pool, "", "", "")
        exchange.send(calls)
        return exchange.answers()

    def load_scripts(self) -> None:
        """Make the scripts known to Redis, which forgets them in a restart."""
        for script in (GUARD, SETTLE, REPLACE, UNEQUAL, KEYS):
            self._client.script_load(script)

    def exchange(self) -> RedisExchange:
        # Never the same tally again: calls of an exchange that broke off may still be on their way.
        tally_key = f"{self._tally_key}:{next(self._exchanges)}"
        return RedisExchange(self._pool, tally_key, self._account_key, self._lag_key, self.load_scripts)

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        with _unavailable(f"Redis did not read {len(keys)} keys"):
            found: list[bytes | None] = self._client.mget(keys) if keys else []
        return found

    def replace(self, key: str, seen: bytes | None, new: bytes | None, expires_at_ms: int = 0) -> bool:
        return self.replace_many([Replacement(key, seen, new, expires_at_ms)])[0]

    def replace_many(self, replacements: Sequence[Replacement]) -> list[bool]:
        with _unavailable(f"Redis did not replace {len(replacements)} keys"):
            return [letter == ord("1") for call in _replace_calls(replacements) for letter in self._surely(call)]

    def _surely(self, call: bytes) -> Any:
        """The answer of one call, which does nothing while Redis has forgotten its script."""
        try:
            return self._ask([call])[0]
        except NoScriptError:
            self.load_scripts()
            return self._ask([call])[0]

    def foreign(self, keys: Sequence[str]) -> set[str]:
        with _unavailable(f"Redis did not tell the type of {len(keys)} keys"):
            pipeline = self._client.pipeline(transaction=False)
            for key in keys:
                pipeline.type(key)
            return {key for key, kind in zip(keys, pipeline.execute(), strict=True) if kind not in _BYTES_OR_NONE}

    def unequal(self, expected: Mapping[str, bytes]) -> list[str]:
        names = list(expected)
        with _unavailable(f"Redis did not compare {len(expected)} keys"):
            pages = [self._surely(call) for call in _unequal_calls(names, list(expected.values()))]
        return [names[page * _COMPARED_KEYS + at - 1] for page, found in enumerate(pages) for at in found]

    def keys(self, *prefixes: str) -> Iterator[list[bytes]]:
        begins, cursor = tuple(f"{prefix}:".encode() for prefix in prefixes), b"0"
        with _unavailable(f"Redis broke off the scan of {', '.join(prefixes)}"):
            while True:
                before = cursor
                cursor, number, text = self._surely(_keys_call(before, begins))
                page = text.split(b"\n") if number else []
                # A key may hold a line break itself.
                yield page if len(page) == number else self._listed(before, begins)
                if cursor == b"0":
                    return

    def _listed(self, cursor: bytes, begins: tuple[bytes, ...]) -> list[bytes]:
        return [key for key in self._client.scan(cursor, count=_LISTED_KEYS)[1] if key.startswith(begins)]

    def scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        with _unavailable(f"Redis broke off the scan of {prefix}:*"):
            keys = self._client.scan_iter(match=f"{prefix}:*", count=_SCAN_PAGE)
            while page := list(islice(keys, _SCAN_PAGE)):
                for key, value in zip(page, self._client.mget(page), strict=True):
                    if value is not None:
                        yield key.decode(), value

    def positions(self, partitions: Sequence[int]) -> dict[int, Position]:
        with _unavailable("Redis did not read the account"):
            pipeline = self._client.pipeline(transaction=False)
            for partition in partitions:
                pipeline.hmget(f"{self._account_key}{partition}", "start", "next", "holes")
            return {p: _position(*found) for p, found in zip(partitions, pipeline.execute(), strict=True)}

    def accounts(self) -> dict[int, PartitionAccount]:
        with _unavailable("Redis did not read the accounts"):
            partitions = sorted(map(int, self._client.smembers(f"{self._account_key}partitions")))
            pipeline = self._client.pipeline(transaction=False)
            for partition in partitions:
                pipeline.hgetall(f"{self._account_key}{partition}")
            found = zip(partitions, pipeline.execute(), strict=True)
            return {partition: _account(partition, fields) for partition, fields in found}

    def counters(self) -> dict[str, int]:
        return totals(self.accounts())

    def lags(self) -> dict[str, LagHistogram]:
        with _unavailable("Redis did not read the lags"):
            found: dict[bytes, bytes] = self._client.hgetall(self._lag_key)
        return histograms({name.decode(): int(amount) for name, amount in found.items()})


class RedisExchange:
    """Implements `Exchange`: what is offered goes out at once, so Redis works while the worker decodes what follows.

    A failure to send is told by `finish`. A connection that saw an error is not used again.
    """

    def __init__(self, pool: Any, tally_key: str, account_key: str, lag_key: str, load_scripts: Any = None) -> None:
        self._pool = pool
        self._tally, self._account_key, self._lag_key = tally_key.encode(), account_key, lag_key
        self._load_scripts = load_scripts
        self._connection: Any = None
        self._sent = 0
        self._keys = 0
        self._failure: Exception | None = None

    def offer(self, values: Mapping[str, bytes], expires_at_ms: Mapping[str, int], slots: bytes) -> None:
        self._keys += len(values)
        if not expires_at_ms or len(expires_at_ms) == len(values):
            self.send(_guard_calls(values, expires_at_ms, self._tally, slots))
            return
        # A call has an expiry for each of its keys or for none: the few that have one go in a call of their own.
        for timed in (False, True):
            chosen = [(key in expires_at_ms) is timed for key in values]
            part = dict(compress(values.items(), chosen))
            its_slots = bytes(compress(slots.ljust(len(values), b"\0"), chosen))
            self.send(_guard_calls(part, expires_at_ms if timed else {}, self._tally, its_slots))

    def finish(self, entries: Sequence[Entry], lags: Mapping[str, int]) -> None:
        with _unavailable("Redis did not take the batch"):
            self.send([self._settle_call(entries, lags)])
            try:
                fits = self.answers()[-1]
            except NoScriptError:
                self._load_scripts()
                raise NotSettled("Redis had forgotten its scripts") from None
        if not fits:
            raise NotSettled("a partition was settled by another worker")

    def send(self, calls: Iterable[bytes]) -> None:
        """Send without awaiting answers."""
        if self._failure is not None:
            return
        packed = list(calls)
        try:
            if self._connection is None:
                self._connection = self._pool.get_connection()
            self._connection.send_packed_command(packed)
            self._sent += len(packed)
        except RedisError as error:
            self._failure = error

    def answers(self) -> list[Any]:
        """Every answer, in order. Raises RedisError: the first that one of them was, or what went wrong in sending."""
        try:
            if self._failure is not None:
                raise self._failure
            return [self._connection.read_response() for _ in range(self._sent)]
        except BaseException:
            self.drop()
            raise
        finally:
            self._give_back()

    def drop(self) -> None:
        """Give up what was begun."""
        if self._connection is not None:
            self._connection.disconnect()
            self._give_back()

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(connection)

    def _settle_call(self, entries: Sequence[Entry], lags: Mapping[str, int]) -> bytes:
        assert [entry.slot for entry in entries] == list(range(1, len(entries) + 1)), (
            "the script finds accounts by slot"
        )
        keys = [self._tally, self._lag_key.encode(), f"{self._account_key}partitions".encode()]
        keys += [f"{self._account_key}{entry.partition}".encode() for entry in entries]
        batch = msgspec.json.encode({"entries": [_entry(entry) for entry in entries], "lags": lags, "keys": self._keys})
        return _command([b"EVALSHA", _SETTLE_SHA, b"%d" % len(keys), *keys, batch])


def _entry(entry: Entry) -> dict[str, Any]:
    """Offsets go as texts: Lua's numbers would be written in its own way."""
    return {
        "partition": str(entry.partition),
        "was": "" if entry.before.is_new else str(entry.before.next),
        "holes_were": _holes_text(entry.before.holes),
        "start": str(entry.after.start),
        "next": str(entry.after.next),
        "holes": _holes_text(entry.after.holes),
        "counts": entry.counts,
    }


def _holes_text(holes: Iterable[tuple[int, int]]) -> str:
    return " ".join(f"{first}-{end}" for first, end in holes)


def _holes(text: bytes | None) -> tuple[tuple[int, int], ...]:
    pairs = (pair.split("-") for pair in (text or b"").decode().split())
    return tuple((int(first), int(end)) for first, end in pairs)


def _position(start: bytes | None, next_offset: bytes | None, holes: bytes | None) -> Position:
    if next_offset is None:
        return Position()
    return Position(int(start or next_offset), int(next_offset), _holes(holes))


def _account(partition: int, fields: Mapping[bytes, bytes]) -> PartitionAccount:
    numbers = {name: int(fields.get(name.encode(), 0)) for name in _COUNTERS}
    return PartitionAccount(partition=partition, holes=_holes(fields.get(b"holes")), **numbers)


@contextmanager
def _unavailable(what: str) -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise StoreUnavailable(f"{what}: {error}") from error


def _guard_calls(
    values: Mapping[str, bytes], expires_at_ms: Mapping[str, int], tally: bytes = b"", slots: bytes = b""
) -> Iterator[bytes]:
    keys = list(map(str.encode, values))
    offers = list(values.values())
    expiries = [b"%d" % expires_at_ms.get(key, 0) for key in values] if expires_at_ms else []
    for at in range(0, len(keys), KEYS_PER_CALL):
        part = slice(at, at + KEYS_PER_CALL)
        number = b"%d" % len(keys[part])
        yield _command(
            [b"EVALSHA", _GUARD_SHA, number, *keys[part], tally, slots[part], *offers[part], *expiries[part]]
        )


def _unequal_calls(keys: Sequence[str], values: Sequence[bytes]) -> Iterator[bytes]:
    for at in range(0, len(keys), _COMPARED_KEYS):
        page = [key.encode() for key in keys[at : at + _COMPARED_KEYS]]
        yield _command([b"EVALSHA", _UNEQUAL_SHA, b"%d" % len(page), *page, *values[at : at + _COMPARED_KEYS]])


def _keys_call(cursor: bytes, begins: Sequence[bytes]) -> bytes:
    return _command([b"EVALSHA", _KEYS_SHA, b"0", cursor, b"%d" % _LISTED_KEYS, *begins])


def _replace_calls(replacements: Sequence[Replacement]) -> Iterator[bytes]:
    for at in range(0, len(replacements), _REPLACED_KEYS):
        page = replacements[at : at + _REPLACED_KEYS]
        arguments = (part for each in page for part in _replace_arguments(each))
        keys = (each.key.encode() for each in page)
        yield _command([b"EVALSHA", _REPLACE_SHA, b"%d" % len(page), *keys, *arguments])


def _replace_arguments(each: Replacement) -> tuple[bytes, ...]:
    # An empty text is a value too, so what stands for "nothing" is a flag.
    flags = (b"" if each.seen is None else b"s") + (b"" if each.new is None else b"n")
    return flags, each.seen or b"", each.new or b"", b"%d" % each.expires_at_ms


def _command(parts: list[bytes]) -> bytes:
    """A command as RESP."""
    # Length, part, length, part, …, joined in one go; most lengths are small, and their texts are made once.
    framed: list[bytes] = [b""] * (2 * len(parts))
    framed[::2] = [_LENGTHS[size] if size < _LENGTHS_KEPT else b"\r\n$%d\r\n" % size for size in map(len, parts)]
    framed[1::2] = parts
    return b"*%d%b\r\n" % (len(parts), b"".join(framed))
