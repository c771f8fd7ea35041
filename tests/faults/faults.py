"""Each fault: what is done to the stack, and a look at whether it bites. A fault that harms nobody proves nothing.

A fault is a function that returns once its cause is gone. What comes back after that comes back by itself.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError

from tests.faults.disk import full_disk, top_up
from tests.faults.fault_stack import FaultStack
from tests.faults.traffic import LogWriter, SourceWriter
from tests.servers import free_port, wait_until

SKEW_US: Final = 300_000_000


@dataclass
class Situation:
    """The stack, its writers, the round's own chance, and whether the round is a long one."""

    stack: FaultStack
    writers: tuple[SourceWriter | LogWriter, ...]
    chance: random.Random
    long: bool

    def hold(self, short_s: tuple[float, float], long_s: tuple[float, float]) -> None:
        """Let the fault last for some seconds between these bounds."""
        time.sleep(self.chance.uniform(*(long_s if self.long else short_s)))


Fault = Callable[[Situation], None]


def _kill(name: str) -> Fault:
    def fault(at: Situation) -> None:
        at.stack.kill(name)

    return fault


def kill_worker(at: Situation) -> None:
    """kill -9 of one of Flink's Python workers."""
    os.kill(at.chance.choice(sorted(at.stack.workers())), signal.SIGKILL)


def redis_out_of_memory(at: Situation) -> None:
    """Every write is refused: there is no memory, and nothing may be evicted."""
    client = at.stack.redis
    client.config_set("maxmemory", "1")
    try:
        _await_refusal(client, OutOfMemoryError)
        at.hold((9, 12), (10, 60))
    finally:
        client.config_set("maxmemory", "0")


def redis_read_only(at: Situation) -> None:
    """Redis is the replica of a primary that nobody reaches: it keeps what it has and refuses every write."""
    client = at.stack.redis
    client.replicaof("127.0.0.1", str(free_port()))
    try:
        _await_refusal(client, ReadOnlyError)
        at.hold((9, 12), (10, 60))
    finally:
        client.replicaof("NO", "ONE")


def script_flush(at: Situation) -> None:
    """Redis forgets its scripts, again and again."""
    client = at.stack.redis
    for _ in range(100 if at.long else 10):
        client.script_flush()
        time.sleep(at.chance.uniform(0.1, 0.5))


def disk_full(at: Situation) -> None:
    """The disk of Redis, Kafka, S3 and the source is full to the last block."""
    client, data = at.stack.redis, at.stack.home / "data"
    with full_disk(data):
        wait_until(lambda: _refuses_after(client, lambda: top_up(data)), 60, what="a Redis that cannot write its file")
        at.hold((9, 12), (10, 60))


def redis_slow(at: Situation) -> None:
    """Every answer of Redis takes 200 ms longer."""
    with at.stack.proxy.toxic("latency", latency=200):
        started = time.monotonic()
        redis.Redis.from_url(at.stack.proxy.url(at.stack.instance)).ping()
        assert time.monotonic() - started > 0.2, "the proxy does not slow anything down"
        at.hold((9, 12), (20, 60))


def redis_cut(at: Situation) -> None:
    """Each second every fifth connection to Redis is cut."""
    for _ in range(60 if at.long else 15):
        with at.stack.proxy.toxic("reset_peer", toxicity=0.2, timeout=0):
            time.sleep(1)


def s3_away(at: Situation) -> None:
    """No checkpoint can be written, and the changes go on."""
    at.stack.supervisor.stop("s3")
    try:
        at.hold((20, 20), (300, 300))
        ends = at.stack.log_ends()
        wait_until(lambda: at.stack.has_accounted(ends), 30, what="changes applied without S3")
    finally:
        at.stack.supervisor.start("s3")


def clock_skew(at: Situation) -> None:
    """What writes has a clock that is five minutes fast, then five minutes slow."""
    try:
        for skew_us in (SKEW_US, -SKEW_US):
            for writer in at.writers:
                writer.skew_us = skew_us
            at.hold((4, 6), (10, 20))
    finally:
        for writer in at.writers:
            writer.skew_us = 0


FAULTS: Final[dict[str, Fault]] = {
    "kill-worker": kill_worker,
    "kill-taskmanager": _kill("flink-taskmanager"),
    "kill-jobmanager": _kill("flink-jobmanager"),
    "kill-kafka": _kill("kafka"),
    "kill-redis": _kill("redis"),
    "kill-feed": _kill("feed"),
    "redis-out-of-memory": redis_out_of_memory,
    "redis-read-only": redis_read_only,
    "redis-script-flush": script_flush,
    "redis-slow": redis_slow,
    "redis-cut": redis_cut,
    "disk-full": disk_full,
    "s3-away": s3_away,
    "clock-skew": clock_skew,
}


def _await_refusal(client: redis.Redis, refusal: type[RedisError]) -> None:
    wait_until(lambda: _refuses(client, refusal), 10, what=f"a write refused with {refusal.__name__}")


def _refuses(client: redis.Redis, refusal: type[RedisError] = RedisError) -> bool:
    try:
        client.set("probe", "x", px=1)
    except refusal:
        return True
    return False


def _refuses_after(client: redis.Redis, act: Callable[[], None]) -> bool:
    act()
    return _refuses(client)
