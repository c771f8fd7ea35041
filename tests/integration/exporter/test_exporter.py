"""The canaries' way with a real Kafka and a real Redis, told by the exporter's process; parts stop, hang and return."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis
from confluent_kafka import TopicPartition

from feed.change_log.kafka import KafkaChangeLog
from feed.main import Feed
from feed.report import report
from feed.topics import ensure_topics
from instrument_cache.batch import BatchApplier
from instrument_cache.contract import Contract
from instrument_cache.errors import SourceUnavailable
from instrument_cache.kafka import make_consumer, topic_spans
from instrument_cache.source.memory import MemorySource
from instrument_cache.store.redis import RedisStore
from tests.servers import free_port, process, wait_until
from tests.unit.exporter.scene import Samples, scrape

PARTITIONS = 3
LIMITS = {"ICACHE_FRESHNESS_LATE_S": "2", "ICACHE_FRESHNESS_STALLED_S": "5", "ICACHE_EXPORTER_DEADLINE_MS": "1500"}


class Stream:
    """A feed, a job's loop without Flink, and an exporter of a dataset of their own."""

    def __init__(self, contract: Contract, kafka: str, redis_url: str, redis_pid: int, folder: Path) -> None:
        self.contract = dataclasses.replace(contract, dataset=f"fresh-{uuid.uuid4().hex[:8]}")
        self.kafka, self.redis_url, self.redis_pid = kafka, redis_url, redis_pid
        self.state_file = folder / "feed.json"
        self.source = MemorySource()
        self.store = RedisStore(redis.Redis.from_url(redis_url), self.contract.dataset)
        self.stop, self.pause = threading.Event(), threading.Event()
        self.url = ""
        ensure_topics(kafka, self.contract.dataset, PARTITIONS, 1)
        wait_until(lambda: topic_spans(kafka, self.contract.dataset), what="a leader for each partition")

    def feed(self) -> None:
        log = KafkaChangeLog(self.kafka, self.contract.dataset)
        feed = Feed(self.contract, self.source, log, 1.0, canary_interval_s=1)
        threading.Thread(target=report, args=(feed.state, self.state_file, self.stop), daemon=True).start()
        with suppress(SourceUnavailable):
            feed.follow()
        feed.state.phase = "disconnected"
        log.close()

    def apply(self) -> None:
        applier = BatchApplier(self.contract, self.store, retry_s=20.0)
        consumer = make_consumer(self.kafka, "test")
        consumer.assign([TopicPartition(self.contract.dataset, partition, 0) for partition in range(PARTITIONS)])
        while not self.stop.is_set():
            if self.pause.is_set():
                self.stop.wait(0.05)
                continue
            found = [message for message in consumer.consume(500, timeout=0.1) if message.error() is None]
            values = [message.value() for message in found]
            applier.apply(values, [m.partition() or 0 for m in found], [m.offset() or 0 for m in found])
        consumer.close()

    def seen(self) -> Samples:
        return scrape(self.url).samples

    def verdict(self) -> str:
        return next(key[1] for key, value in self.seen().items() if key[0] == "icache_freshness" and value)

    def is_up(self, part: str) -> bool:
        return bool(self.seen()["icache_up", part])

    def environment(self) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "ICACHE_DATASET": self.contract.dataset,
            "ICACHE_KAFKA_BOOTSTRAP": self.kafka,
            "ICACHE_REDIS_URL": self.redis_url,
            "ICACHE_FEED_STATE_FILE": str(self.state_file),
            **LIMITS,
        }


@pytest.fixture
def stream(contract: Contract, kafka: str, tmp_path: Path) -> Iterator[Stream]:
    with _redis(tmp_path) as (url, pid):
        made = Stream(contract, kafka, url, pid, tmp_path)
        port = free_port()
        made.url = f"http://127.0.0.1:{port}"
        threads = [threading.Thread(target=work, daemon=True) for work in (made.feed, made.apply)]
        command = [sys.executable, "-m", "exporter", "--port", str(port)]
        with process(command, made.environment(), tmp_path / "exporter.log"):
            for thread in threads:
                thread.start()
            yield made
            made.stop.set()
            made.source.close()
            for thread in threads:
                thread.join(20)


@contextmanager
def _redis(folder: Path) -> Iterator[tuple[str, int]]:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    with process(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]) as pid:
        wait_until(redis.Redis.from_url(url).ping, what="Redis")
        yield url, pid


def test_the_figures_of_a_stream_that_runs_stops_and_runs_again(stream: Stream) -> None:
    wait_until(lambda: stream.verdict() == "ok", what="a fresh stream")
    # The feed tells its state each half second.
    wait_until(lambda: stream.seen()["icache_feed_phase", "live"] == 1, what="a feed that says so")
    seen = stream.seen()
    assert all(seen["icache_canary_age_seconds", str(at)] < 10 for at in range(PARTITIONS))
    assert {seen["icache_up", part] for part in ("redis", "kafka", "feed")} == {1}
    assert seen[("icache_feed_heard_seconds",)] < 10

    stream.source.publish([b'{"cusip":"037833100"}', b'{"cusip":"594918104"}', b"{broken"])
    wait_until(lambda: _count(stream, "rejected") == 1 and _lagged(stream) == 2, what="the changes")
    assert dict(stream.store.scan("instr")).keys() == {"instr:037833100", "instr:594918104"}

    stream.pause.set()
    wait_until(lambda: stream.verdict() == "late", 60, what="a late stream")
    wait_until(lambda: stream.verdict() == "stalled", 60, what="a stalled stream")
    seen = stream.seen()
    assert max(seen["icache_standing_seconds", str(at)] for at in range(PARTITIONS)) >= 5
    stream.pause.clear()
    wait_until(lambda: stream.verdict() == "ok", 60, what="a stream that is fresh again")

    stream.source.close()
    wait_until(lambda: stream.verdict() == "silent", 60, what="a silent feed")
    seen = stream.seen()
    assert seen["icache_feed_phase", "disconnected"] == 1
    assert all(seen["icache_lag_records", str(at)] == 0 for at in range(PARTITIONS))


def _count(stream: Stream, outcome: str) -> float:
    return sum(stream.seen()["icache_changes_total", outcome, str(at)] for at in range(PARTITIONS))


def _lagged(stream: Stream) -> float:
    return stream.seen()["icache_record_lag_seconds_count", "feed"]


def test_a_redis_that_hangs_is_away_and_its_return_is_seen(stream: Stream) -> None:
    wait_until(lambda: stream.verdict() == "ok", what="a fresh stream")
    os.kill(stream.redis_pid, signal.SIGSTOP)
    try:
        wait_until(lambda: not stream.is_up("redis"), 15, what="a Redis that is away")
        seen = stream.seen()
        assert seen["icache_up", "kafka"] == seen["icache_up", "feed"] == 1
        assert seen["icache_log_end_offset", "0"] > 0
        assert not any(key[0] in ("icache_freshness", "icache_changes_total") for key in seen)
        assert seen[("icache_scrape_seconds",)] < 2
    finally:
        os.kill(stream.redis_pid, signal.SIGCONT)
    wait_until(lambda: stream.verdict() == "ok", what="a fresh stream again")


def test_no_kafka_no_redis_no_feed_is_an_answer(tmp_path: Path) -> None:
    nowhere, port = f"127.0.0.1:{free_port()}", free_port()
    settings = {"ICACHE_REDIS_URL": f"redis://{nowhere}", "ICACHE_KAFKA_BOOTSTRAP": nowhere}
    environment = {"PATH": os.environ["PATH"], **settings, **LIMITS, "ICACHE_FEED_STATE_FILE": str(tmp_path / "none")}
    with process([sys.executable, "-m", "exporter", "--port", str(port)], environment, tmp_path / "log"):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: scrape(url).samples, what="the exporter")
        seen = scrape(url).samples
        assert {key[1]: value for key, value in seen.items() if key[0] == "icache_up"} == {
            "redis": 0, "kafka": 0, "feed": 0,
        }  # fmt: skip


def test_a_missing_setting_ends_it_with_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "exporter", "--port", "0"]
    environment = {"PATH": os.environ["PATH"], "ICACHE_LOG_FORMAT": "json"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "ICACHE_KAFKA_BOOTSTRAP is missing" in done.stdout + done.stderr
