"""To whom the small scenarios are given: another sink in Kafka Connect, and the product's own job."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from benchmarks.connect.sinks import Sink
from benchmarks.drain import benchmark_store, counted
from benchmarks.peer_check import RecordJudge, scan_peer
from benchmarks.peer_scenarios import Scenario
from benchmarks.peer_stack import STALLED, Connector, PeerStack, Stuck, limit_memory
from instrument_cache.change import is_tombstone, version_of
from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract
from instrument_cache.errors import LogUnavailable
from instrument_cache.flink_rest import FlinkRest, stream_job_name_prefix
from instrument_cache.kafka import make_admin, make_producer
from local_stack.instance import DATASET, Instance

# What an instrument takes in Redis: as a whole change record, and as the contract's fields.
_RECORD_BYTES: Final = 1_100
_FIELDS_BYTES: Final = 400
_POLL_S: Final = 0.1
_TOPIC_TIMEOUT_S: Final = 30.0


class PeerTarget:
    """Each scenario in a topic of its own, that is full before the sink begins: so its records meet in one batch."""

    def __init__(self, stack: PeerStack, sink: Sink, contract: Contract) -> None:
        self._stack, self._sink = stack, sink
        self._judge = RecordJudge(contract)

    @contextmanager
    def give(self, scenario: Scenario) -> Iterator[PeerScenario]:
        topic = new_topic(self._stack.kafka)
        write(self._stack.kafka, topic, ((record.key, record.value) for record in scenario.records))
        memory = memory_for(scenario, _RECORD_BYTES)
        with self._stack.connector(self._sink, topic, tasks=1, memory_bytes=memory) as connector:
            yield PeerScenario(self._stack, connector, self._judge)


class PeerScenario:
    """Implements `Run`."""

    def __init__(self, stack: PeerStack, connector: Connector, judge: RecordJudge) -> None:
        self.redis = stack.redis
        self._connector, self._judge = connector, judge

    def await_done(self, idle_s: float) -> None:
        self._connector.await_committed(idle_s)

    def state(self) -> str:
        return self._connector.state()

    def versions(self, keys: Sequence[str]) -> dict[str, int | None]:
        held = dict(scan_peer(self.redis, self._judge))
        return {key: held[key].version if key in held else None for key in keys}


class OwnTarget:
    """The product's running job, on the topic that it reads."""

    def __init__(self, instance: Instance, contract: Contract) -> None:
        self._instance, self._contract = instance, contract
        self._redis: Any = redis_client(instance.redis_url, name="benchmark")

    @contextmanager
    def give(self, scenario: Scenario) -> Iterator[OwnScenario]:
        # The topic is compacted: Kafka refuses a record without a key there, so none ever reaches the product.
        records = [(record.key, record.delete or record.value) for record in scenario.records if record.key is not None]
        run = OwnScenario(self._instance, self._contract, self._redis, len(records))
        limit_memory(self._redis, memory_for(scenario, _FIELDS_BYTES))
        write(self._instance.kafka, DATASET, records)
        try:
            yield run
        finally:
            self._redis.config_set("maxmemory", 0)


class OwnScenario:
    """Implements `Run`."""

    def __init__(self, instance: Instance, contract: Contract, client: Any, records: int) -> None:
        self.redis = client
        self._contract, self._store = contract, benchmark_store(instance)
        self._flink = FlinkRest(instance.url("flink"))
        self._target = self._counted() + records

    def await_done(self, idle_s: float) -> None:
        newest, seen_at = -1, time.monotonic()
        while (now := self._counted()) < self._target:
            if now != newest:
                newest, seen_at = now, time.monotonic()
            if time.monotonic() - seen_at > idle_s:
                raise Stuck(STALLED, f"the job says {self.state()} and did nothing for {idle_s:.0f} s")
            time.sleep(_POLL_S)

    def state(self) -> str:
        jobs = self._flink.jobs(stream_job_name_prefix(DATASET))
        return jobs[0].state if jobs else "no job"

    def versions(self, keys: Sequence[str]) -> dict[str, int | None]:
        held = self._store.get_many([self._contract.redis_key(key) for key in keys])
        return {
            key: None if stored is None or is_tombstone(stored) else version_of(stored)
            for key, stored in zip(keys, held, strict=True)
        }

    def _counted(self) -> int:
        return counted(self._store.counters())


def memory_for(scenario: Scenario, bytes_per_key: int) -> int:
    """Bytes beyond what Redis uses now; 0: no limit."""
    return int((scenario.memory_share or 0) * len(scenario.expected) * bytes_per_key)


def write(kafka: str, topic: str, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
    """Write pairs (key, value) in their order. Raises LogUnavailable."""
    producer, refused = make_producer(kafka), []

    def delivered(error: Any, message: Any) -> None:
        if error is not None:
            refused.append(error)

    for key, value in records:
        producer.produce(topic, key=key, value=value, on_delivery=delivered)
        producer.poll(0)
    if (left := producer.flush(_TOPIC_TIMEOUT_S)) or refused:
        raise LogUnavailable(f"Kafka at {kafka} did not take {left + len(refused)} records of {topic!r}: {refused[:1]}")


def new_topic(kafka: str) -> str:
    """Make a topic with one partition, and return its name. Raises LogUnavailable."""
    from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

    topic, admin = f"scenario-{time.time_ns()}", make_admin(kafka)
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(_TOPIC_TIMEOUT_S)
    return topic


def renew_topic(kafka: str) -> None:
    """Delete the topic of the product and make it again, empty."""
    from feed.topics import ensure_topics
    from local_stack.components.kafka import PARTITIONS

    admin = make_admin(kafka)
    admin.delete_topics([DATASET])[DATASET].result(_TOPIC_TIMEOUT_S)
    deadline = time.monotonic() + _TOPIC_TIMEOUT_S
    while DATASET in admin.list_topics(timeout=_TOPIC_TIMEOUT_S).topics:
        if time.monotonic() > deadline:
            raise LogUnavailable(f"Kafka at {kafka} did not delete {DATASET!r} within {_TOPIC_TIMEOUT_S:.0f} s")
        time.sleep(_POLL_S)
    ensure_topics(kafka, DATASET, partitions=PARTITIONS, replication=1)
