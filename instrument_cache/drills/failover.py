"""The failover drill: a scratch Sentinel group loses its primary under load.

1. A primary, its replicas and three Sentinels start, are filled with synthetic instruments, and a lookup worker serves
   them.
2. A writer and readers work. Some instruments are only read, and lie in the worker's cache; the others change.
3. kill -9 of the primary.
4. The time without an acknowledged write is measured, and what readers got meanwhile.
5. What was acknowledged and is no longer there is counted, and offered again: what reconciliation does with the source.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from instrument_cache.contract import Contract
from instrument_cache.drills.children import Children, await_true
from instrument_cache.drills.load import Answers, Reader, Writer, Written
from instrument_cache.drills.lookup_server import LookupServer
from instrument_cache.drills.sentinel_group import REPLICAS, SentinelGroup
from instrument_cache.drills.synthetic import drill_keys, drill_values
from instrument_cache.scratch.folder import scratch_folder
from instrument_cache.store.interface import VersionedStore
from instrument_cache.store.redis import RedisStore

_FREE_BYTES_MIN: Final = 64_000_000
_REDIS_TIMEOUT_S: Final = 0.5
_BATCH: Final = 10
_CACHED_MAX: Final = 2000
_OFFER_KEYS: Final = 5000
_BACK_S_MAX: Final = 60.0
# Later than this after the kill, an acknowledgement is the new primary's.
_OLD_ANSWER_S: Final = 0.2
# How often `tell` is called.
STEPS: Final = 5
Tell = Callable[[str], None]


@dataclass(frozen=True)
class FailoverPlan:
    """How large the drill is, and what it must reach. Rates count instruments and requests per second."""

    instruments: int = 20_000
    writes_per_s: int = 500
    reads_per_s: int = 200
    before_s: float = 3.0
    after_s: float = 3.0
    replicas: int = REPLICAS
    seed: int = 1
    write_gap_s_max: float = 3.5
    failed_cached_reads_max: int = 0


@dataclass(frozen=True)
class FailoverResult:
    """What was seen. `cached` are the reads of instruments that did not change, `changing` those of the others.

    Of the acknowledged writes `lost` were not there after the failover; `unrepaired` still are not.
    """

    write_gap_s: float
    cached: Answers
    changing: Answers
    acknowledged: int
    lost: int
    unrepaired: int
    took_s: float

    def misses(self, plan: FailoverPlan) -> list[str]:
        """Which targets were not reached, each as a sentence."""
        found = []
        if self.write_gap_s > plan.write_gap_s_max:
            found.append(f"no write was taken for {self.write_gap_s:.1f} s (target {plan.write_gap_s_max:g} s)")
        if self.cached.failed > plan.failed_cached_reads_max:
            found.append(f"{self.cached.failed} cached reads failed (target {plan.failed_cached_reads_max})")
        if self.unrepaired:
            found.append(f"{self.unrepaired} lost writes were not repaired (target 0)")
        return found

    def numbers(self) -> dict[str, float]:
        """For the report."""
        return {
            "write_gap_s": round(self.write_gap_s, 3),
            "cached_reads": self.cached.total,
            "failed_cached_reads": self.cached.failed,
            "stale_cached_reads": self.cached.stale,
            "slowest_cached_read_s": round(self.cached.slowest_s, 4),
            "other_reads": self.changing.total,
            "failed_other_reads": self.changing.failed,
            "acknowledged_writes": self.acknowledged,
            "lost_writes": self.lost,
            "repaired_writes": self.lost - self.unrepaired,
            "took_s": round(self.took_s, 1),
        }


def run_failover(
    plan: FailoverPlan, contract: Contract, tell: Tell = lambda _: None, parent: Path | None = None
) -> FailoverResult:
    """Carry the drill out; nothing of it is left, however it ends. `tell` hears of each step; scratch is in `parent`.

    To be called by a thread that lives as long: the servers end with it. Raises DrillFailed or ScratchUnavailable.
    """
    began_s = time.monotonic()
    with scratch_folder(_FREE_BYTES_MIN, parent) as folder, Children(folder) as children:
        tell("starting a primary, its replicas and three Sentinels")
        group = SentinelGroup(children, replicas=plan.replicas)
        group.start()
        store = RedisStore(group.client(_REDIS_TIMEOUT_S), contract.dataset)
        tell(f"loading {plan.instruments} instruments and starting a lookup worker")
        keys = drill_keys(plan.instruments, contract)
        loaded = _load(store, keys, contract, plan.seed)
        server = LookupServer(children, group.url, contract)
        server.start()
        cached, changing = _split(keys)
        work = _Work(plan, contract, store, server, cached, changing)
        with work.at_work():
            time.sleep(plan.before_s)
            tell("kill -9 of the primary")
            group.kill_primary()
            killed_s = time.monotonic()
            await_true(lambda: work.has_written_since(killed_s + _OLD_ANSWER_S), _BACK_S_MAX, "a write after the kill")
            tell("writes are taken again")
            time.sleep(plan.after_s)
        gap_s = work.written.gap_s(killed_s)
        tell("looking for acknowledged writes that were lost")
        lost, unrepaired = _repair(store, {**loaded, **work.written.newest})
        return FailoverResult(
            write_gap_s=gap_s,
            cached=work.cached.answers,
            changing=work.changing.answers,
            acknowledged=_BATCH * len(work.written.acknowledged_s),
            lost=lost,
            unrepaired=unrepaired,
            took_s=time.monotonic() - began_s,
        )


class _Work:
    """The writer, and a reader for each of the two kinds of instruments."""

    def __init__(
        self,
        plan: FailoverPlan,
        contract: Contract,
        store: VersionedStore,
        server: LookupServer,
        cached: Sequence[str],
        changing: Sequence[str],
    ) -> None:
        pause_s = 2 / plan.reads_per_s
        self.writer = Writer(
            store, changing, contract, batch=_BATCH, pause_s=_BATCH / plan.writes_per_s, seed=plan.seed
        )
        self._paths = [server.path(key) for key in cached]
        self._connect = server.connect
        self.cached = Reader(server.connect, self._paths, pause_s=pause_s, seed=plan.seed)
        self.changing = Reader(server.connect, [server.path(key) for key in changing], pause_s=pause_s, seed=plan.seed)

    @property
    def written(self) -> Written:
        return self.writer.written

    def has_written_since(self, since_s: float) -> bool:
        return self.written.acknowledged_s[-1:] > [since_s]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Bring the instruments that are only read into the worker's cache; then all work until the block ends."""
        connection = self._connect()
        await_true(lambda: set(connection.get_all(self._paths)) == {200}, _BACK_S_MAX, "the instruments in the cache")
        connection.close()
        stop = threading.Event()
        threads = [
            threading.Thread(target=worker.run, args=(stop,), daemon=True)
            for worker in (self.writer, self.cached, self.changing)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def _split(keys: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Those that are only read, and those that change."""
    count = min(_CACHED_MAX, len(keys) // 2)
    return keys[:count], keys[count:]


def _load(store: VersionedStore, keys: Sequence[str], contract: Contract, seed: int) -> Mapping[str, bytes]:
    values = drill_values(keys, time.time_ns() // 1000, contract, random.Random(seed))
    for part in _parts(list(values)):
        store.offer({key: values[key] for key in part})
    return values


def _repair(store: VersionedStore, expected: Mapping[str, bytes]) -> tuple[int, int]:
    """How many were lost, and how many of them are still not there after they were offered again."""
    lost = _behind(store, expected)
    for part in _parts(list(lost)):
        store.offer({key: lost[key] for key in part})
    return len(lost), len(_behind(store, lost))


def _behind(store: VersionedStore, expected: Mapping[str, bytes]) -> dict[str, bytes]:
    """What is expected where the store holds less."""
    found: dict[str, bytes] = {}
    for part in _parts(list(expected)):
        held = zip(part, store.get_many(part), strict=True)
        found.update({key: expected[key] for key, value in held if value is None or value < expected[key]})
    return found


def _parts(keys: list[str]) -> Iterator[list[str]]:
    return (keys[at : at + _OFFER_KEYS] for at in range(0, len(keys), _OFFER_KEYS))
