"""A dataset with a topic, a stream that is applied when the test says so, and backups in two regions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from feed.change_log.kafka import KafkaChangeLog
from feed.topics import ensure_topics
from instrument_cache.backup.region import ensure_backup_buckets
from instrument_cache.backup.service import Backups
from instrument_cache.batch import BatchApplier
from instrument_cache.clock import SystemClock
from instrument_cache.kafka import read_to_end, topic_spans
from instrument_cache.objects import ObjectStore
from instrument_cache.restore.plan import Plan
from instrument_cache.restore.request import restore_request
from instrument_cache.restore.service import Restores
from instrument_cache.settings import Environment, s3_settings
from instrument_cache.source.registry import open_source
from instrument_cache.store.redis import RedisStore
from local_stack.synthetic import synthetic_cusip

NOW_US = SystemClock().now_us()
V = NOW_US - 60_000_000
PARTITIONS = 2


class World:
    """`dump` is all that Redis holds of the dataset's keys, with their expiry."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.restores = Restores(env, give_up_s=10, settle_s=0)
        self.backups = Backups(env)
        self.client: Any = self.restores.client
        self.dataset = self.restores.dataset
        self.store = RedisStore(self.client, self.dataset)
        self.client.flushall()
        bootstrap = env.text("ICACHE_KAFKA_BOOTSTRAP")
        ensure_topics(bootstrap, self.dataset, PARTITIONS, replication=1)
        ensure_backup_buckets(env)
        ObjectStore(s3_settings(env)).make_bucket()
        self._log = KafkaChangeLog(bootstrap, self.dataset)
        self._applied = {at: span.end for at, span in topic_spans(bootstrap, self.dataset).items()}
        self._account_for(self._applied)

    def _account_for(self, ends: dict[int, int]) -> None:
        """What other tests have left in the log counts as applied."""
        for partition, end in ends.items():
            if end:
                self.client.hset(f"account:{self.dataset}:{partition}", mapping={"start": end, "next": end})
                self.client.sadd(f"account:{self.dataset}:partitions", partition)

    def put(self, numbers: Iterable[int], version: int = V, pme: str = "P") -> None:
        """Write the instruments of these numbers to the log, each with an alias."""
        for number in numbers:
            record = {"cusip": synthetic_cusip(number), "pme": f"{pme}{number}", "name": f"state {version}"}
            self._write("put", version, record)

    def publish(self, numbers: Iterable[int], version: int = V) -> None:
        """What `put` writes to the log, at the source."""
        source = open_source(env=self.env)
        row = {"name": f"state {version}", "last_updated": version}
        rows = [{"cusip": synthetic_cusip(n), "pme": f"P{n}", **row} for n in numbers]
        source.publish(json.dumps(row).encode() for row in rows)
        source.close()

    def delete(self, numbers: Iterable[int], version: int = V) -> None:
        for number in numbers:
            self._write("delete", version, {"cusip": synthetic_cusip(number)})

    def _write(self, op: str, version: int, record: dict[str, str]) -> None:
        source = {"name": "test", "position": 1, "timestamp": NOW_US, "received_at": NOW_US}
        value = json.dumps({"op": op, "version": version, "source": source, "record": record})
        self._log.write(record["cusip"].encode(), value.encode())

    def apply(self) -> None:
        """Apply what was written, as the job does, and account for it."""
        self._log.flush()
        applier = BatchApplier(self.restores.contract, self.store)
        bootstrap = self.env.text("ICACHE_KAFKA_BOOTSTRAP")
        found = list(read_to_end(bootstrap, self.dataset, group="test", starts=self._applied))
        applier.apply([m.value() for m in found], [m.partition() for m in found], [m.offset() for m in found])
        self._applied |= {m.partition(): m.offset() + 1 for m in found}

    def flush_log(self) -> None:
        self._log.flush()

    def backup(self, run_id: str = "backup") -> str:
        """The name of a good backup of what there is now."""
        exported = self.backups.export(run_id, datetime.now(UTC))
        assert self.backups.mark_good(self.backups.verify(exported.name), accept_smaller=True)
        return exported.name

    def plan(self, run_id: str = "restore-1", **given: Any) -> Plan:
        return self.restores.plan(restore_request(self.restores.contract, run_id=run_id, by="test", **given))

    def dump(self) -> dict[bytes, tuple[bytes, int]]:
        keys = [key for prefix in ("instr", "pme") for key in self.client.scan_iter(match=f"{prefix}:*", count=1000)]
        values = self.client.mget(keys) if keys else []
        pipeline = self.client.pipeline(transaction=False)
        for key in keys:
            pipeline.pexpiretime(key)
        return dict(zip(keys, zip(values, pipeline.execute(), strict=True), strict=True))

    def everything(self) -> dict[bytes, bytes]:
        """All of Redis, byte for byte, but for the lock of an operation, and what it and others tell people of it."""
        keys = sorted(key for key in self.client.keys("*") if not key.startswith((b"lock:", b"alert:", b"under-way:")))
        return {key: self.client.dump(key) for key in keys}

    def stored(self, number: int) -> bytes | None:
        found: bytes | None = self.client.get(f"instr:{synthetic_cusip(number)}")
        return found
