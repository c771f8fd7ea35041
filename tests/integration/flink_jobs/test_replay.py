"""The job itself, run again from the beginning of the log: the store stays, or becomes again, what it was."""

from __future__ import annotations

import time
from pathlib import Path

import redis

from feed.change_log.kafka import KafkaChangeLog
from feed.topics import ensure_topics
from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract
from instrument_cache.kafka import topic_spans
from instrument_cache.store.redis import RedisStore
from local_stack.components.flink import flink_environment, prepare
from local_stack.instance import DATASET, Instance
from tests.faults.histories import History
from tests.servers import process, wait_until
from tests.store_hash import store_hash

RECORDS = 3000
SCRIPT = Path(__file__).with_name("mini_cluster.py")


def test_the_job_run_again_from_the_beginning_of_the_log_changes_nothing(
    tmp_path: Path, kafka: str, redis_url: str, clean_redis: redis.Redis, contract: Contract
) -> None:
    ensure_topics(kafka, DATASET, partitions=4, replication=1)
    log = KafkaChangeLog(kafka, DATASET)
    for message in History(1, time.time_ns() // 1000, keys=200).messages(RECORDS):
        log.write(message.key, message.value or b"")
    log.flush()
    count = sum(span.end for span in topic_spans(kafka, DATASET).values())
    store = RedisStore(redis_client(redis_url, name="test"), DATASET)
    environment = _environment(tmp_path, kafka, redis_url)

    def run(replayed: int) -> str:
        """Run the job from the beginning until it has seen the whole log, and return the store's hash."""
        with process([environment["PATH"].partition(":")[0] + "/python", str(SCRIPT), "run"], environment):
            wait_until(lambda: _seen(store) == (count, replayed), 120, what=f"{count} records, {replayed} replayed")
        return store_hash(clean_redis, contract)

    first = run(replayed=0)
    assert run(replayed=count) == first, "a replay onto what is there changed it"
    clean_redis.flushall()
    assert run(replayed=0) == first, "another run of the same log ended elsewhere"


def _seen(store: RedisStore) -> tuple[int, int]:
    accounts = store.accounts().values()
    return sum(account.total for account in accounts), sum(account.replayed for account in accounts)


def _environment(home: Path, kafka: str, redis_url: str) -> dict[str, str]:
    instance = Instance(home=home, tools=Instance.from_environment().tools, port_offset=0)
    instance.make_secrets()
    prepare(instance)
    environment = {**instance.base_environment(), **flink_environment(instance)}
    return {**environment, "ICACHE_KAFKA_BOOTSTRAP": kafka, "ICACHE_REDIS_URL": redis_url}
