"""Traffic at the source and a stream that applies it; a process: `python -m tests.integration.reconcile.live ORDER`.

It stands in for feed, Kafka and Flink, with the records, the decoder and the store of the product. Redis tells how far
the stream has applied (`live:position`), and how much traffic there was (`live:published`).
"""

from __future__ import annotations

import random
import sys
import threading
import time
from itertools import count
from typing import Final

import msgspec
import redis

from feed.sources.simulator import SimulatorSource
from instrument_cache.batch import BatchApplier
from instrument_cache.clock import SystemClock
from instrument_cache.contract import load_contract
from instrument_cache.records import RecordMaker
from instrument_cache.source.interface import Delete, Put, SnapshotEnd
from instrument_cache.store.redis import RedisStore
from local_stack.instance import DATASET, PROJECT
from local_stack.synthetic import synthetic_cusip

POSITION: Final = "live:position"
PUBLISHED: Final = "live:published"
_TICK_S: Final = 0.05
_BATCH_MAX: Final = 500
_CLOCK: Final = SystemClock()


class Live(msgspec.Struct):
    """What to do: `numbers` are the instruments that traffic changes, `rate` rows per second."""

    source_url: str
    token: str
    redis_url: str
    seed: int
    rate: int
    numbers: list[int]


def row(number: int, chance: random.Random, *, renamed: bool = False) -> bytes:
    """The newest state of an instrument."""
    pme = f"PMER{number:08}" if renamed else f"PME{number:09}"
    fields = {"cusip": synthetic_cusip(number), "pme": pme, "last_updated": _CLOCK.now_us()}
    return msgspec.json.encode({**fields, "name": f"name {chance.random()}", "currency": "USD"})


def main(live: Live) -> None:
    """Until it is killed."""
    following = threading.Event()
    threading.Thread(target=_stream, args=(live, following), daemon=True).start()
    following.wait(60)
    _publish(live)


def _publish(live: Live) -> None:
    source, chance = SimulatorSource(live.source_url, live.token), random.Random(live.seed)
    client = redis.Redis.from_url(live.redis_url)
    began_s, published = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - began_s) * live.rate) - published
        rows, gone = [], []
        for _ in range(max(0, due)):
            number, what = chance.choice(live.numbers), chance.random()
            if what < 0.05:
                gone.append(synthetic_cusip(number))
            else:
                rows.append(row(number, chance, renamed=what < 0.15))
        source.publish(rows)
        source.delete(gone)
        published += len(rows) + len(gone)
        client.set(PUBLISHED, published)
        time.sleep(_TICK_S)


def _stream(live: Live, following: threading.Event) -> None:
    contract = load_contract(PROJECT / "contracts" / f"{DATASET}.yaml")
    client = redis.Redis.from_url(live.redis_url)
    applier, maker = BatchApplier(contract, RedisStore(client, DATASET)), RecordMaker(contract, "sow")
    batch: list[bytes] = []
    offsets, position, applied_s = count(), 0, time.monotonic()
    for event in SimulatorSource(live.source_url, live.token).subscribe():
        now_us = _CLOCK.now_us()
        if isinstance(event, Put):
            batch.append(maker.put(event, now_us))
        elif isinstance(event, Delete):
            batch.append(maker.delete(event.key, event.version, event.position, event.timestamp_us, now_us))
        elif isinstance(event, SnapshotEnd):
            following.set()
        position = getattr(event, "position", position)
        if len(batch) >= _BATCH_MAX or time.monotonic() - applied_s > _TICK_S:
            applier.apply(batch, [0] * len(batch), [next(offsets) for _ in batch])
            client.set(POSITION, position)
            batch.clear()
            applied_s = time.monotonic()


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Live))
