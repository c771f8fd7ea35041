"""Publishes records on a schedule, from a process of its own: its work must not delay the one that listens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final, Literal

from benchmarks.percentiles import percentiles
from benchmarks.schedule import Schedule
from feed.change_log.kafka import KafkaChangeLog
from instrument_cache.contract import load_contract
from instrument_cache.errors import InstrumentCacheError, Unavailable
from instrument_cache.records import RecordMaker
from instrument_cache.settings import Environment
from instrument_cache.source.interface import Put
from instrument_cache.source.registry import open_source
from local_stack.instance import DATASET, PROJECT, Instance
from local_stack.synthetic import synthetic_cusip, synthetic_rows

Clock = Literal["kafka", "source"]
_PAUSE_S: Final = 0.0005
_READY_TIMEOUT_S: Final = 120.0

# Sends the records of these numbers.
Send = Callable[[Schedule, range], None]


class Publisher:
    """The process. Made by `publisher`."""

    def __init__(self, pid: int, pipe: Connection) -> None:
        self.pid, self._pipe = pid, pipe

    def begin(self, start_us: int) -> None:
        """Send the first record at that time."""
        self._pipe.send(start_us)

    def lateness_ms(self, timeout_s: float) -> dict[str, float]:
        """When everything is sent: how much later than due, as percentiles. Raises Unavailable if it broke off."""
        try:
            if self._pipe.poll(timeout_s):
                found: dict[str, float] = self._pipe.recv()
                return found
        except EOFError:
            raise Unavailable("the publisher ended before its last record; its error is above") from None
        raise Unavailable(f"the publisher was not done within {timeout_s:.0f} s: the rate is more than it can send")


@contextmanager
def publisher(instance: Instance, clock: Clock, schedule: Schedule) -> Iterator[Publisher]:
    """A process that is ready to send; it goes with the block. `schedule` without its start."""
    context = get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=_main, args=(instance, clock, schedule, other), daemon=True)
    process.start()
    other.close()
    try:
        if not pipe.poll(_READY_TIMEOUT_S):
            raise Unavailable(f"the publisher was not ready within {_READY_TIMEOUT_S:.0f} s")
        _await_ready(pipe)
        yield Publisher(process.pid or 0, pipe)
    finally:
        process.kill()
        process.join()


def _await_ready(pipe: Connection) -> None:
    try:
        pipe.recv()
    except EOFError:
        raise Unavailable("the publisher ended at its start; its error is above") from None


def _main(instance: Instance, clock: Clock, schedule: Schedule, pipe: Connection) -> None:
    try:
        send = {"kafka": kafka_sender, "source": source_sender}[clock](instance, schedule.keys)
        pipe.send("ready")
        pipe.send(percentiles(publish(replace(schedule, start_us=pipe.recv()), send)))
    except InstrumentCacheError as error:
        print(f"publisher: {error}", flush=True)


def publish(schedule: Schedule, send: Send) -> Iterator[float]:
    """Send every record when it is due, and tell of each how many ms later than due that was."""
    sent = 0
    while sent < schedule.count:
        due = schedule.due_by(time.time_ns() // 1000)
        send(schedule, range(sent, due))
        now_us = time.time_ns() // 1000
        yield from ((now_us - schedule.due_us(at)) / 1000 for at in range(sent, due))
        sent = due
        time.sleep(_PAUSE_S)


def kafka_sender(instance: Instance, keys: int) -> Send:
    """Writes change records to Kafka, the way the feed does."""
    log = KafkaChangeLog(instance.kafka, DATASET)
    maker = RecordMaker(load_contract(PROJECT / "contracts" / f"{DATASET}.yaml"), "benchmark")
    rows = list(synthetic_rows(keys))
    cusips = [synthetic_cusip(key) for key in range(keys)]

    def send(schedule: Schedule, numbers: range) -> None:
        for at in numbers:
            due_us, cusip = schedule.due_us(at), cusips[at % keys]
            value = maker.put(Put(cusip, rows[at % keys], due_us, at), received_at_us=time.time_ns() // 1000)
            log.write(cusip.encode(), value)
        log.flush() if numbers.stop == schedule.count else log.poll()

    return send


def source_sender(instance: Instance, keys: int) -> Send:
    """Publishes rows at the source; the feed takes them from there."""
    source = open_source(instance.settings()["ICACHE_SOURCE_URL"], Environment(instance.settings()))
    rows = list(synthetic_rows(keys))

    def send(schedule: Schedule, numbers: range) -> None:
        if numbers:
            source.publish(b'%b,"last_updated":%d}' % (rows[at % keys][:-1], schedule.due_us(at)) for at in numbers)

    return send
