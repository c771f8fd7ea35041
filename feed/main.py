"""The feed: source → Kafka. `python -m feed.main` runs it until it is told to stop."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final

import structlog

from feed.canary import Canaries
from feed.change_log.interface import ChangeLog
from feed.change_log.kafka import KafkaChangeLog
from feed.known import KnownState
from feed.report import report, write_state
from instrument_cache.clock import Clock, SystemClock
from instrument_cache.contract import Contract, load_contract
from instrument_cache.errors import IdentifierError, InstrumentCacheError, SourceUnavailable
from instrument_cache.feed_state import FeedState
from instrument_cache.identifiers import check_for
from instrument_cache.logs import configure_logging
from instrument_cache.records import RecordMaker
from instrument_cache.settings import contract_path, environment
from instrument_cache.source.interface import Delete, Put, SnapshotBegin, SnapshotEnd, Source, SourceEvent
from instrument_cache.source.registry import open_source

logger = structlog.get_logger()
_RECONNECT_PAUSE_S_MAX: Final = 5.0


class Feed:
    """Follows one source and writes what changes to one log.

    In a snapshot only what the log does not yet say is sent, and at its end, and only then, the keys that it lacks
    become deletes. More of them than `sweep_share_max` (0…1) of all are refused: an entitlement error looks like an
    empty source. While it follows its source, it writes canaries too, each `canary_interval_s` (0: none).
    """

    def __init__(
        self,
        contract: Contract,
        source: Source,
        log: ChangeLog,
        sweep_share_max: float,
        *,
        canary_interval_s: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self._source, self._log, self._clock = source, log, clock or SystemClock()
        self._maker = RecordMaker(contract, source_name="sow")
        self._canaries = Canaries(log, self._maker, canary_interval_s)
        self._check_key = check_for(contract.key) or (lambda value: value)
        self._sweep_share_max = sweep_share_max
        self._known = KnownState(log.read())
        self._seen: set[str] | None = None
        # Every change up to `_reached` is in the log. The rows of a snapshot come by key, so they prove nothing before
        # its end; and one that is newer than its beginning comes before older messages.
        self._begun = self._reached = 0
        self.state = FeedState(started_at=self._clock.now_us())
        logger.info("log_read", keys=len(self._known))

    def follow(self) -> None:
        """Follow the source until it breaks off; raises SourceUnavailable or LogUnavailable."""
        for event in self._source.subscribe():
            self.handle(event)

    def handle(self, event: SourceEvent) -> None:
        """Take one message of the source."""
        if isinstance(event, Put):
            self._put(event)
        elif isinstance(event, Delete):
            self._delete(event.key, event.version, event.position, event.timestamp_us)
        elif isinstance(event, SnapshotBegin):
            self._seen = set()
            self._begun, self._reached = event.position, min(self._reached, event.position)
            self.state.phase = "snapshot"
        elif isinstance(event, SnapshotEnd):
            self._end_snapshot()
        else:
            self._log.poll()
        self._note(event, self._clock.now_us())

    def _note(self, event: SourceEvent, now_us: int) -> None:
        """Every message of the source, also a heartbeat, shows that it is there: the occasion for canaries."""
        state = self.state
        state.heard_at = now_us
        if isinstance(event, Put | Delete | SnapshotBegin):
            state.position = max(state.position, event.position)
        if isinstance(event, Put | Delete):
            state.source_timestamp = max(state.source_timestamp, event.timestamp_us)
        self._note_reached(event)
        if self._canaries.write_if_due(now_us, self._reached):
            state.canary_at = now_us

    def _note_reached(self, event: SourceEvent) -> None:
        if isinstance(event, SnapshotEnd):
            self._reached = self._begun
        elif isinstance(event, Put | Delete) and self._seen is None:
            self._reached = event.position

    def _put(self, event: Put) -> None:
        value = self._maker.put(event, self._clock.now_us())
        if self._seen is not None:
            self._seen.add(event.key)
            if self._known.says(event.key, value):
                self.state.unchanged += 1
                return
        self._write(event.key, value)

    def _delete(self, key: str, version: int, position: int, timestamp_us: int) -> None:
        try:
            self._check_key(key)
        except IdentifierError:
            return  # it never passed the job, so there is nothing to remove
        self._write(key, self._maker.delete(key, version, position, timestamp_us, self._clock.now_us()))

    def _write(self, key: str, value: bytes) -> None:
        self._log.write(key.encode(), value)
        self._known.note(key, value)
        self.state.sent += 1

    def _end_snapshot(self) -> None:
        seen, self._seen = self._seen or set(), None
        gone = self._known.missing_from(seen)
        if len(gone) > max(10, self._sweep_share_max * len(self._known)):
            self.state.sweep_refused = len(gone)
            logger.error("sweep_refused", gone=len(gone), known=len(self._known), share_max=self._sweep_share_max)
        else:
            now_us = self._clock.now_us()
            for key in gone:
                self._delete(key, self._known.version(key), self.state.position, now_us)
            self.state.swept += len(gone)
            self.state.sweep_refused = 0
        self._log.flush()
        self.state.phase, self.state.rows = "live", len(seen)
        logger.info("snapshot_sent", rows=len(seen), sent=self.state.sent, gone=len(gone))


def run(feed: Feed, stop: threading.Event) -> None:
    """Follow the source, again and again, until `stop`."""
    pause_s = 0.2
    while not stop.is_set():
        started = time.monotonic()
        try:
            feed.follow()
        except SourceUnavailable as error:
            feed.state.phase = "disconnected"
            logger.warning("source_unavailable", error=str(error), retry_in_s=pause_s)
        if time.monotonic() - started > 30:
            pause_s = 0.2
        stop.wait(pause_s)
        pause_s = min(pause_s * 2, _RECONNECT_PAUSE_S_MAX)


def main() -> int:
    configure_logging("feed")
    env = environment()
    contract = load_contract(contract_path())
    state_file = env.variables.get("ICACHE_FEED_STATE_FILE")
    if state_file:
        write_state(FeedState(), Path(state_file))  # what another feed told before no longer holds
    log = KafkaChangeLog(env.text("ICACHE_KAFKA_BOOTSTRAP"), contract.dataset)
    source = open_source(env.text("ICACHE_SOURCE_URL"), env)
    share_max = env.integer("ICACHE_FEED_SWEEP_PERCENT_MAX", default=20, low=0, high=100) / 100
    canary_interval_s = env.integer("ICACHE_CANARY_INTERVAL_S", default=1, low=0, high=60)
    feed = Feed(contract, source, log, share_max, canary_interval_s=canary_interval_s)
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()
        source.close()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    if state_file:
        threading.Thread(target=report, args=(feed.state, Path(state_file), stop), daemon=True).start()
    run(feed, stop)
    log.close()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InstrumentCacheError as error:
        logger.error("feed_stopped", error=str(error))
        sys.exit(1)
