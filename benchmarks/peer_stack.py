"""Another sink at work: an empty Redis and a Kafka Connect worker beside the benchmark's own stack, on its Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from benchmarks.connect.plugins import Plugin
from benchmarks.connect.sinks import Sink
from benchmarks.connect.worker import FAILED, ConnectRest, connect_component
from benchmarks.drain import parts
from instrument_cache.connections import redis_client
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.kafka import committed_offsets, topic_spans
from local_stack.components.redis import REDIS
from local_stack.instance import Instance
from local_stack.supervisor import Supervisor
from local_stack.up import start, stop_all
from tests.servers import free_port, free_port_offset

STALLED: Final = "stalled"
RUNNING: Final = "RUNNING"
_POLL_S: Final = 0.02
_STATUS_EVERY_S: Final = 1.0
# From its configuration to its first record a connector takes some seconds, of Java alone.
_START_TIMEOUT_S: Final = 90.0


class Stuck(InstrumentCacheError):
    """A sink that failed, or that does nothing although there is something to do. `state` says which."""

    def __init__(self, state: str, why: str) -> None:
        super().__init__(f"{state}: {why}" if why else state)
        self.state, self.why = state, why


class Connector:
    """One sink that reads one topic into the stack's Redis."""

    def __init__(self, stack: PeerStack, name: str, topic: str) -> None:
        self._stack, self.name, self.topic = stack, name, topic

    def await_keys(self, count: int, idle_s: float) -> int:
        """Wait until Redis holds `count` keys; returns how many it holds. Raises Stuck."""
        return self._await(self._stack.keys, lambda keys: keys >= count, idle_s)

    def await_committed(self, idle_s: float) -> None:
        """Wait until the sink says that it has taken everything in the topic. Raises Stuck."""
        self._await(lambda: -self.uncommitted(), lambda left: left == 0, idle_s, poll_s=0.25)

    def uncommitted(self) -> int:
        """Records that the sink has not yet said it took."""
        kafka = self._stack.kafka
        taken = committed_offsets(kafka, self.topic, f"connect-{self.name}")
        return sum(span.end - max(taken[at], span.start) for at, span in topic_spans(kafka, self.topic).items())

    def state(self) -> str:
        return self._stack.rest.task_state(self.name).state

    def error(self) -> str:
        return self._stack.rest.task_state(self.name).error

    def _await(
        self, progress: Callable[[], int], done: Callable[[int], bool], idle_s: float, poll_s: float = _POLL_S
    ) -> int:
        """Poll until `done`; nothing new for `idle_s`, or a failed task: Stuck."""
        newest, seen_at = None, time.monotonic()
        asked_at = seen_at
        while not done(now := progress()):
            if now != newest:
                newest, seen_at = now, time.monotonic()
            if time.monotonic() - asked_at > _STATUS_EVERY_S:
                asked_at = time.monotonic()
                self._check_failed()
            if time.monotonic() - seen_at > idle_s:
                raise Stuck(STALLED, f"the task says {self.state()} and did nothing for {idle_s:.0f} s")
            time.sleep(poll_s)
        return now

    def _check_failed(self) -> None:
        task = self._stack.rest.task_state(self.name)
        if task.state == FAILED:
            raise Stuck(FAILED, task.error)


class PeerStack:
    """The Redis and the worker, and the Kafka that they read. Made by `peer_stack`."""

    def __init__(self, instance: Instance, kafka: str, rest: ConnectRest) -> None:
        self.instance, self.kafka, self.rest = instance, kafka, rest
        self.redis: Any = redis_client(instance.redis_url, name="benchmark", timeout_s=60.0)
        self._started = 0

    def parts(self) -> dict[int, str]:
        """{process id: part}; the parts are named as those of the product."""
        return parts(self.instance)

    def keys(self) -> int:
        count: int = self.redis.dbsize()
        return count

    @contextmanager
    def connector(self, sink: Sink, topic: str, tasks: int, memory_bytes: int = 0) -> Iterator[Connector]:
        """The sink on an empty Redis, from the beginning of `topic`; deleted at the end.

        With `memory_bytes` Redis may take only so much more than empty.
        """
        self._empty()
        limit_memory(self.redis, memory_bytes)
        self._started += 1  # a new name is a new consumer group
        connector = Connector(self, f"peer-{self._started}", topic)
        config = {**sink.configured(self._places()), "topics": topic, "tasks.max": str(tasks)}
        self.rest.start(connector.name, config)
        try:
            yield connector
        finally:
            self.rest.delete(connector.name)

    def _empty(self) -> None:
        self.redis.config_set("maxmemory", 0)
        self.redis.flushall()
        self.redis.bgrewriteaof()
        while self.redis.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.1)

    def _places(self) -> dict[str, str]:
        port = str(self.instance.port("redis"))
        password = self.instance.secret("redis_password")
        url = self.instance.redis_url
        return {"redis.host": "127.0.0.1", "redis.port": port, "redis.password": password, "redis.url": url}


def limit_memory(client: Any, memory_bytes: int) -> None:
    """Let Redis take so much more than it uses now; 0: as much as it wants."""
    client.config_set("maxmemory", client.info("memory")["used_memory"] + memory_bytes if memory_bytes else 0)


@contextmanager
def peer_stack(own: Instance, plugins: Sequence[Plugin], status: Callable[[str], None]) -> Iterator[PeerStack]:
    """Start both; they go with the block. `own` is the benchmark's stack, whose Kafka is read."""
    instance = Instance(own.home / "peer", own.tools, free_port_offset())
    instance.make_secrets()
    rest_port = free_port()
    components = [REDIS, connect_component(own.kafka, rest_port, list(plugins))]
    supervisor = Supervisor(instance)
    try:
        supervisor.ensure(components)
        for component in components:
            status(f"starting {component.name} for the comparison")
            start(instance, supervisor, component)
        yield PeerStack(instance, own.kafka, ConnectRest(rest_port))
    finally:
        stop_all(instance)
