"""Redis: does it answer, on every connection, soon, and does it take writes?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError

from instrument_cache.connections import redis_client
from instrument_cache.doctor.model import Finding
from instrument_cache.doctor.text import bytes_text, duration
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.flink_rest import flink_rest, stream_job_name_prefix
from instrument_cache.settings import Environment, redis_url

NAME: Final = "redis"
_TIMEOUT_S: Final = 3.0
# Each by a connection of its own: where some are cut, one that stands tells nothing. Of twelve, all stand once in 15
# looks if every fifth is cut; of five, once in three.
_TRIES: Final = 12
_TRIES_S_MAX: Final = 2.0
_FULL_RATIO: Final = 0.9
_RESTART_S: Final = 300
_RESTART: Final = "icache restart redis"


def look_at_redis(env: Environment) -> Iterator[Finding]:
    """Everything that is wrong with Redis; one finding if nothing is."""
    info, times_ms, errors = _probe(redis_url(env))
    if info is None:
        yield _away(errors[0])
        return
    found = [*_connections(times_ms, errors), *_speed(env, times_ms), *_of_info(info), *_restarted(env, info)]
    yield from found
    if not any(finding.severity == "red" for finding in found):
        yield _well(info, min(times_ms))


def _probe(url: str) -> tuple[Mapping[str, Any] | None, list[float], list[Exception]]:
    """What INFO says, how long each PING took, and the errors of the connections that failed."""
    info: Mapping[str, Any] | None = None
    times_ms: list[float] = []
    errors: list[Exception] = []
    until = time.monotonic() + _TRIES_S_MAX
    for number in range(_TRIES):
        if number and time.monotonic() > until:
            break
        try:
            found, took_ms = _one(url, with_info=info is None)
            info = info or found
            times_ms.append(took_ms)
        except (RedisError, OSError) as error:
            errors.append(error)
    return info, times_ms, errors


def _one(url: str, with_info: bool) -> tuple[Mapping[str, Any] | None, float]:
    client = redis_client(url, name="doctor", timeout_s=_TIMEOUT_S)
    try:
        info: Any = {**client.info(), **client.info("commandstats")} if with_info else None
        began = time.monotonic()
        client.ping()
        return info, (time.monotonic() - began) * 1000
    finally:
        client.close()


def _away(error: Exception) -> Finding:
    sentence = f"Redis does not answer: {error}"
    if isinstance(error, BusyLoadingError):
        return Finding(NAME, "red", sentence, "it was started a moment ago and reads its data from the disk", "wait")
    if isinstance(error, AuthenticationError) or (isinstance(error, ResponseError) and "AUTH" in str(error)):
        return Finding(NAME, "red", sentence, "ICACHE_REDIS_URL has another password", "correct ICACHE_REDIS_URL")
    return Finding(
        NAME,
        "red",
        sentence,
        "its process has ended or hangs, or ICACHE_REDIS_URL names another place; no write and no new read succeeds",
        _RESTART,
        "stream_instruments",
    )


def _connections(times_ms: list[float], errors: list[Exception]) -> Iterator[Finding]:
    if errors:
        tried = len(times_ms) + len(errors)
        yield Finding(
            NAME,
            "warn",
            f"of {tried} new connections to Redis {len(errors)} failed: {errors[0]}",
            "something between here and Redis cuts connections, or Redis has just come back",
            "look at the network and at proxies; icache logs redis",
        )


def _speed(env: Environment, times_ms: list[float]) -> Iterator[Finding]:
    limit_ms = env.integer("ICACHE_DOCTOR_REDIS_MS_MAX", default=50, low=1, high=10_000)
    if min(times_ms) > limit_ms:
        yield Finding(
            NAME,
            "warn",
            f"Redis takes {min(times_ms):.0f} ms to answer a PING; {limit_ms} ms are expected",
            "the network is slow, a command blocks Redis, or its machine has no CPU to spare",
            "redis-cli slowlog get 10; icache status",
        )


def _of_info(info: Mapping[str, Any]) -> Iterator[Finding]:
    used, limit = int(info["used_memory"]), int(info.get("maxmemory", 0))
    if limit and used >= _FULL_RATIO * limit:
        yield _full(used, limit, str(info.get("maxmemory_policy", "")))
    if info.get("role") == "slave":
        yield _replica(info)
    if info.get("aof_enabled") and "ok" not in (s := str(info.get("aof_last_write_status", "ok"))):
        yield _no_disk(f"Redis could not write its append-only file ({s})")
    elif "ok" not in (s := str(info.get("rdb_last_bgsave_status", "ok"))):
        yield _no_disk(f"Redis could not save its snapshot ({s})")


def _full(used: int, limit: int, policy: str) -> Finding:
    sentence = f"Redis uses {bytes_text(used)} of its maxmemory {bytes_text(limit)} ({policy})"
    mend = "redis-cli config set maxmemory SIZE (and in its configuration), or move to a larger machine"
    if used >= limit:
        why = "the data has outgrown the limit: every write is refused, and the stream waits"
        return Finding(NAME, "red", f"{sentence}: every write is refused", why, mend)
    return Finding(NAME, "warn", sentence, "the data grows towards the limit; at the limit writes are refused", mend)


def _replica(info: Mapping[str, Any]) -> Finding:
    host, port, link = info.get("master_host"), info.get("master_port"), info.get("master_link_status")
    return Finding(
        NAME,
        "red",
        f"Redis is read-only: it is a replica of {host}:{port} (link {link}) and refuses every write",
        "a fail-over is under way, or ICACHE_REDIS_URL names a replica in place of the primary",
        "redis-cli replicaof no one on the one that shall be primary, or correct ICACHE_REDIS_URL",
        "failover_drill",
    )


def _no_disk(sentence: str) -> Finding:
    why = "the disk is full or broken: writes are refused until it takes data again"
    return Finding(NAME, "red", sentence, why, "df -h; make room on the disk of Redis")


def _restarted(env: Environment, info: Mapping[str, Any]) -> Iterator[Finding]:
    """A Redis that is younger than the stream which writes to it was started again."""
    uptime_s = int(info["uptime_in_seconds"])
    if uptime_s > _RESTART_S:
        return
    with suppress(InstrumentCacheError), flink_rest(env) as flink:
        jobs = flink.jobs(stream_job_name_prefix(env.text("ICACHE_DATASET", "instruments")))
        ages_s = [(job.now_ms - job.started_at_ms) / 1000 for job in jobs if not job.has_ended]
        if any(age_s > uptime_s + 2 for age_s in ages_s):
            yield Finding(
                NAME,
                "warn",
                f"Redis was started again {duration(uptime_s)} ago, while the stream was running",
                "it ended: killed, out of memory, or restarted by somebody. It has read its file again",
                "icache logs redis; icache reconcile shows whether it lost anything",
                "cache_reconcile",
            )


def _well(info: Mapping[str, Any], took_ms: float) -> Finding:
    place = f"{info.get('redis_version')}, {bytes_text(int(info['used_memory']))}"
    flushed = (info.get("cmdstat_script|flush") or {}).get("calls", 0)
    return Finding(
        NAME,
        "ok",
        f"Redis answers in {took_ms:.1f} ms ({place}, up {duration(int(info['uptime_in_seconds']))})"
        + (f"; its scripts were flushed {flushed} times since, and loaded again by who needed them" if flushed else ""),
    )


def look_at_sentinels(env: Environment) -> Iterator[Finding]:
    """Whether the Sentinels could elect a new primary. Nothing if Redis is reached without them."""
    url = redis_url(env)
    if not url.startswith("redis+sentinel://"):
        return
    parts = urlsplit(url)
    service = parts.path.strip("/") or "mymaster"
    nodes = parts.netloc.rpartition("@")[2].split(",")
    complaints = {node: complaint for node in nodes if (complaint := _quorum(node, service))}
    promoted = next((found for node in nodes if (found := _promoted(node, service))), None)
    if promoted:
        yield promoted
    elif not complaints:
        yield Finding("sentinel", "ok", f"{len(nodes)} Sentinels can elect a new primary of {service!r}")
    if not complaints:
        return
    told = "; ".join(f"{node}: {text}" for node, text in complaints.items())
    is_lost = any("NOQUORUM" in text for text in complaints.values()) or 2 * len(complaints) >= len(nodes)
    yield Finding(
        "sentinel",
        "red" if is_lost else "warn",
        f"{len(complaints)} of {len(nodes)} Sentinels of {service!r} complain: {told}",
        "Sentinels have ended or cannot see each other" + (": nobody takes over if the primary dies" * is_lost),
        "start the Sentinels that do not answer; redis-cli -p PORT sentinel ckquorum " + service,
        "failover_drill",
    )


def _promoted(node: str, service: str) -> Finding | None:
    """A fail-over of the last minutes, as one Sentinel tells of it; None if there was none, or it does not answer."""
    client = _sentinel(node)
    try:
        master, up_s = client.sentinel_master(service), client.info("server")["uptime_in_seconds"]
    except (RedisError, OSError):
        return None
    finally:
        client.close()
    ago_s = master["role-reported-time"] / 1000
    # It is counted anew when the Sentinel itself is started, too.
    if not master["config-epoch"] or ago_s > min(_RESTART_S, up_s - 2):
        return None
    return Finding(
        "sentinel",
        "warn",
        f"Redis at {master['ip']}:{master['port']} was made the primary of {service!r} {duration(ago_s)} ago",
        "the primary before it ended or did not answer, or somebody asked for it; its newest writes may be lost",
        "icache reconcile shows whether anything was lost; start the old primary, which follows the new one",
        "failover_drill",
    )


def _sentinel(node: str) -> Any:
    host, _, port = node.partition(":")
    return redis.Redis(host=host, port=int(port or 26379), socket_timeout=1.0, socket_connect_timeout=1.0)


def _quorum(node: str, service: str) -> str | None:
    """What one Sentinel complains of; None if nothing."""
    client = _sentinel(node)
    try:
        client.execute_command("SENTINEL", "CKQUORUM", service)
    except (RedisError, OSError) as error:
        return str(error)
    finally:
        client.close()
    return None
