"""What each operation does now, and what went wrong with it lately: kept in Redis, for the doctor to tell.

An operation never fails because this cannot be written. Of a process that was killed the record stays behind, and its
beat, a key that ends by itself, does not: so its end is noticed within seconds, whatever the clocks say.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal, NamedTuple
from uuid import uuid4

import msgspec
import redis
from redis.exceptions import RedisError

from instrument_cache.errors import InstrumentCacheError, StoreUnavailable

BEAT_S: Final = 4.0
# So long after its last beat a process is taken for dead.
SILENT_S: Final = 15.0
# What an operation tells is of no use to anybody later.
_KEPT_S: Final = 7200
_TEXT_MAX: Final = 400
# A worker's clock that is off by more is told.
_AHEAD_S_MAX: Final = 60.0
Kind = Literal["broke_off", "failed", "asks", "clock", "orphaned"]


class Trouble(msgspec.Struct, frozen=True):
    """`at_ms` is Redis's time. `is_over`: the same step has ended well since, or somebody has answered."""

    kind: Kind
    run_id: str
    step: str
    at_ms: int
    text: str = ""
    is_over: bool = False


class Record(msgspec.Struct, frozen=True):
    """`is_open`: the step is under way, or its process was killed in it. Of each kind of trouble the newest is kept."""

    run_id: str
    step: str
    since_ms: int
    token: str
    is_open: bool = True
    troubles: dict[str, Trouble] = msgspec.field(default_factory=dict)


class Told(NamedTuple):
    """An operation's record, whether its process was heard of lately, and what time it is for Redis."""

    record: Record
    is_heard: bool
    now_ms: int


class Step:
    """What a step may tell while it is under way."""

    def __init__(self) -> None:
        self.question = ""

    def asks(self, question: str) -> None:
        """From its end on, the run waits for a person."""
        self.question = _line(question)


@contextmanager
def under_way(client: redis.Redis, dataset: str, operation: str, step: str, run_id: str) -> Iterator[Step]:
    """Tell that a step of an operation is under way, and what became of it. Raises what the block raises, only."""
    told, parent = Step(), os.getppid()
    own = _begin(client, dataset, operation, step, run_id)
    if own is None:  # another run is at work, whose record this is; or Redis is away
        yield told
        return
    try:
        with _beating(client, _beat_key(dataset, operation), own.token):
            yield told
    except BaseException as error:
        _end(client, dataset, operation, own, {"failed": _line(f"{type(error).__name__}: {error}")})
        raise
    ended: dict[Kind, str] = {"asks": told.question} if told.question else {}
    if os.getppid() != parent:
        ended["orphaned"] = ""
    _end(client, dataset, operation, own, ended)


def read_under_way(client: redis.Redis, dataset: str) -> Mapping[str, Told]:
    """Operation → what is known of it. Raises StoreUnavailable."""
    try:
        held: Any = client.hgetall(_key(dataset))
        records = {name.decode(): record for name, value in held.items() if (record := _record(value))}
        pipeline: Any = client.pipeline(transaction=False)
        for operation in records:
            pipeline.exists(_beat_key(dataset, operation))
        *beats, now = pipeline.time().execute()
    except RedisError as error:
        raise StoreUnavailable(f"Redis does not tell what is under way for {dataset}: {error}") from error
    return {
        operation: Told(records[operation], bool(beat), _ms(now))
        for operation, beat in zip(records, beats, strict=True)
    }


def _begin(client: redis.Redis, dataset: str, operation: str, step: str, run_id: str) -> Record | None:
    with suppress(RedisError, InstrumentCacheError):
        pipeline: Any = client.pipeline(transaction=False)
        pipeline.hget(_key(dataset), operation).exists(_beat_key(dataset, operation)).time()
        held, is_heard, now = pipeline.execute()
        before, ahead_s = _record(held), time.time() - _ms(now) / 1000
        if before and before.is_open and is_heard and before.run_id != run_id:
            return None
        troubles = _troubles_before(before, step, _ms(now))
        if abs(ahead_s) > _AHEAD_S_MAX:
            text = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'}"
            troubles["clock"] = Trouble("clock", run_id, step, _ms(now), text, is_over=True)
        own = Record(run_id, step, _ms(now), uuid4().hex, troubles=troubles)
        _write(client, dataset, operation, own)
        return own
    return None


def _troubles_before(before: Record | None, step: str, now_ms: int) -> dict[str, Trouble]:
    """What a new try takes over. A question is answered once the run goes on, or the next one begins."""
    if before is None:
        return {}
    troubles = dict(before.troubles)
    if before.is_open:  # its process was killed, and this is the next try
        is_over = before.step != step
        troubles["broke_off"] = Trouble("broke_off", before.run_id, before.step, now_ms, is_over=is_over)
    if asked := troubles.get("asks"):
        troubles["asks"] = msgspec.structs.replace(asked, is_over=True)
    return troubles


def _end(client: redis.Redis, dataset: str, operation: str, own: Record, ended: Mapping[Kind, str]) -> None:
    """`ended`: what went wrong at its end, and how."""
    with suppress(RedisError, InstrumentCacheError):
        pipeline: Any = client.pipeline(transaction=False)
        held, now = pipeline.hget(_key(dataset), operation).time().execute()
        now_record = _record(held)
        if now_record and now_record.token != own.token:
            return  # another try has taken over
        troubles: dict[str, Trouble] = dict(own.troubles)
        if "failed" not in ended:
            troubles = {kind: _over(each, own.step) for kind, each in troubles.items()}
        for kind, text in ended.items():
            troubles[kind] = Trouble(kind, own.run_id, own.step, _ms(now), text, is_over=kind == "orphaned")
        if troubles:
            _write(client, dataset, operation, msgspec.structs.replace(own, is_open=False, troubles=troubles))
        else:
            pipeline.hdel(_key(dataset), operation).delete(_beat_key(dataset, operation)).execute()


def _over(trouble: Trouble, step: str) -> Trouble:
    return msgspec.structs.replace(trouble, is_over=trouble.is_over or trouble.step == step)


def _write(client: redis.Redis, dataset: str, operation: str, record: Record) -> None:
    pipeline: Any = client.pipeline()
    pipeline.hset(_key(dataset), operation, msgspec.json.encode(record))
    pipeline.expire(_key(dataset), _KEPT_S)
    if record.is_open:
        pipeline.set(_beat_key(dataset, operation), record.token, px=round(SILENT_S * 1000))
    else:
        pipeline.delete(_beat_key(dataset, operation))
    pipeline.execute()


@contextmanager
def _beating(client: redis.Redis, key: str, token: str) -> Iterator[None]:
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_S):
            with suppress(RedisError, InstrumentCacheError):
                client.set(key, token, px=round(SILENT_S * 1000))

    thread = threading.Thread(target=beat, name="under-way", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _key(dataset: str) -> str:
    return f"under-way:{dataset}"


def _beat_key(dataset: str, operation: str) -> str:
    return f"under-way:{dataset}:{operation}"


def _record(held: bytes | None) -> Record | None:
    try:
        return msgspec.json.decode(held, type=Record) if held else None
    except msgspec.DecodeError:
        return None  # of another version of this program; the next step replaces it


def _ms(time_of_redis: tuple[int, int]) -> int:
    return time_of_redis[0] * 1000 + time_of_redis[1] // 1000


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()[:_TEXT_MAX]
