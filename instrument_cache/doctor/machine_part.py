"""What lies under everything: disks and clocks."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError

from instrument_cache.canary import is_canary
from instrument_cache.clock import Clock
from instrument_cache.connections import redis_client
from instrument_cache.doctor.model import Finding
from instrument_cache.doctor.text import bytes_text, duration
from instrument_cache.errors import StoreUnavailable
from instrument_cache.kafka import read_to_end, topic_spans
from instrument_cache.settings import Environment, redis_url

_RED_RATIO: Final = 0.02
_WARN_RATIO: Final = 0.1
_SKEW_S_MAX: Final = 2.0
# Versions may be this far in the future of the moment at which the log took them.
_AHEAD_S_MAX: Final = 5.0
_NEWEST: Final = 16
_CHANGES_MIN: Final = 5


class _Dated(msgspec.Struct):
    version: int


_dated = msgspec.json.Decoder(_Dated).decode


def look_at_disks(folders: list[Path]) -> Iterator[Finding]:
    """Each disk that holds one of the folders, once."""
    disks = {folder.stat().st_dev: folder for folder in reversed(folders) if folder.exists()}
    for folder in disks.values():
        yield _disk(folder)


def _disk(folder: Path) -> Finding:
    usage = shutil.disk_usage(folder)
    ratio = usage.free / usage.total
    told = f"{bytes_text(usage.free)} of {bytes_text(usage.total)} are free on the disk of {folder} ({ratio:.0%})"
    if ratio >= _WARN_RATIO:
        return Finding("disk", "ok", told)
    mend = "df -h; make room: icache reset deletes an instance that nobody needs, logs and old backups take most"
    if ratio >= _RED_RATIO:
        return Finding("disk", "warn", told, "logs, checkpoints or backups have filled it", mend)
    return Finding("disk", "red", told, "it is full: Redis, Kafka and S3 refuse writes, and the stream waits", mend)


def look_at_clocks(env: Environment, clock: Clock) -> Iterator[Finding]:
    """Redis's clock against this machine's, and the versions of the newest changes against the log's clock."""
    skew_s = _redis_ahead_s(env, clock)
    ahead_s = _changes_ahead_s(env)
    found = [*_of_redis(skew_s), *_of_changes(ahead_s)]
    yield from found
    if not found:
        yield Finding("clock", "ok", f"Redis's clock is {skew_s:+.2f} s off this one{_dated_text(ahead_s)}")


def _of_redis(skew_s: float) -> Iterator[Finding]:
    if abs(skew_s) > _SKEW_S_MAX:
        yield Finding(
            "clock",
            "red" if abs(skew_s) > 60 else "warn",
            f"Redis's clock is {skew_s:+.1f} s off this machine's",
            "a machine has lost its time server: ages, expiries and the dates of backups are wrong by as much",
            "chronyc tracking (or timedatectl) on both machines",
        )


def _of_changes(ahead_s: float | None) -> Iterator[Finding]:
    if ahead_s is not None and ahead_s > _AHEAD_S_MAX:
        yield Finding(
            "clock",
            "warn",
            f"the newest changes are dated {duration(ahead_s)} in the future",
            "who writes to the source has a clock that is fast: what comes later with the right time loses against it",
            "correct the writer's clock; then publish the rows again, once the time has passed",
        )


def _dated_text(ahead_s: float | None) -> str:
    if ahead_s is None or ahead_s > -_AHEAD_S_MAX:
        return ""
    return f"; the newest changes are dated {duration(-ahead_s)} before they reached the log"


def _redis_ahead_s(env: Environment, clock: Clock) -> float:
    client = redis_client(redis_url(env), name="doctor", timeout_s=3.0)
    try:
        client.ping()  # the connection is made before the clock is looked at
        began_us = clock.now_us()
        seconds, micros = client.time()
    except RedisError as error:
        raise StoreUnavailable(f"Redis does not tell its time: {error}") from error
    return (seconds * 1_000_000 + micros - (began_us + clock.now_us()) / 2) / 1e6


def _changes_ahead_s(env: Environment) -> float | None:
    """The median of how far the newest changes are ahead of the log's clock; None of too few."""
    bootstrap, dataset = env.text("ICACHE_KAFKA_BOOTSTRAP"), env.text("ICACHE_DATASET", "instruments")
    spans = topic_spans(bootstrap, dataset)
    starts = {at: max(span.end - _NEWEST, span.start) for at, span in spans.items()}
    read = read_to_end(bootstrap, dataset, group="instrument-cache.doctor", starts=starts)
    found = [ahead_s for message in read if (ahead_s := _ahead_s(message)) is not None]
    return statistics.median(found) if len(found) >= _CHANGES_MIN else None


def _ahead_s(message: Any) -> float | None:
    """None for canaries, for Kafka's own tombstones, and for what cannot be read."""
    if message.value() is None or is_canary(message.key() or b""):
        return None
    try:
        version = _dated(message.value()).version
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return version / 1e6 - float(message.timestamp()[1]) / 1e3
