"""The job in Flink's mini cluster, with a real Kafka and a real Redis."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import redis

from feed.change_log.kafka import KafkaChangeLog
from feed.topics import ensure_topics
from instrument_cache.dead_letters.reader import read_letters
from instrument_cache.store.redis import RedisStore
from local_stack.components.flink import flink_environment, prepare
from local_stack.instance import Instance
from tests.servers import process, wait_until

V = 1_763_674_000_123_456
APPLE, MICROSOFT = "037833100", "594918104"
SCRIPT = Path(__file__).with_name("mini_cluster.py")


@pytest.fixture
def environment(tmp_path: Path, kafka: str, redis_url: str, clean_redis: redis.Redis) -> dict[str, str]:
    """Flink's environment, pointed at the session's servers."""
    instance = Instance(home=tmp_path, tools=Instance.from_environment().tools, port_offset=0)
    instance.make_secrets()
    prepare(instance)
    environment = {**instance.base_environment(), **flink_environment(instance)}
    return {**environment, "ICACHE_KAFKA_BOOTSTRAP": kafka, "ICACHE_REDIS_URL": redis_url}


def run(environment: dict[str, str], action: str) -> list[str]:
    return [f"{environment['PATH'].partition(':')[0]}/python", str(SCRIPT), action]


def put(cusip: str, version: int, **fields: object) -> bytes:
    return json.dumps({"op": "put", "version": version, "record": {"cusip": cusip, **fields}}).encode()


def test_the_plan_calls_python_once_and_reads_only_what_it_uses(environment: dict[str, str]) -> None:
    done = subprocess.run(run(environment, "explain"), env=environment, capture_output=True, text=True, timeout=120)
    plan = done.stdout.partition("== Optimized Execution Plan ==")[2]
    assert plan.count("PythonCalc") == 1, done.stdout + done.stderr
    assert re.search(r"TableSourceScan\(.*fields=\[v, p, o\]\)", plan)


def test_changes_reach_redis_and_rejects_the_dead_letters(
    environment: dict[str, str], kafka: str, clean_redis: redis.Redis, tmp_path: Path
) -> None:
    ensure_topics(kafka, "instruments", partitions=4, replication=1)
    log = KafkaChangeLog(kafka, "instruments")
    bad = [b"{broken", put("037833101", V), b"", put(APPLE, V, x="y" * 2_000_000)]
    for key, value in [
        (APPLE, put(APPLE, V + 1, name="new", pme="P-1")),
        (APPLE, put(APPLE, V, name="old")),
        (MICROSOFT, put(MICROSOFT, V)),
        *((f"bad-{at}", value) for at, value in enumerate(bad)),
    ]:
        log.write(key.encode(), value)
    log.flush()
    with process(run(environment, "run"), environment, tmp_path / "job.log"):
        wait_until(
            lambda: len(list(read_letters(kafka, "instruments"))) == len(bad),
            timeout_s=90,
            what=f"{len(bad)} dead letters (log: {tmp_path / 'job.log'})",
        )
        stored = json.loads(clean_redis.get(f"instr:{APPLE}") or b"{}")
        assert (stored["v"], stored["name"]) == (V + 1, "new")
        assert clean_redis.exists(f"instr:{MICROSOFT}", "pme:P-1") == 2
        # A second batch arrives while it runs, with a delete.
        gone = {"op": "delete", "version": V, "source": {"timestamp": V}, "record": {"cusip": MICROSOFT}}
        log.write(MICROSOFT.encode(), json.dumps(gone).encode())
        log.flush()
        store = RedisStore(clean_redis, "instruments")
        wait_until(lambda: store.counters()["applied"] == 3, what="the delete")
    letters = {letter.value: letter.reason for letter in read_letters(kafka, "instruments")}
    assert letters.keys() == set(bad)
    assert letters[b""].startswith("malformed_json")
    assert letters[bad[3]].startswith("too_large")
    assert all(re.fullmatch(r"instruments-\d-\d+", letter.position) for letter in read_letters(kafka, "instruments"))
