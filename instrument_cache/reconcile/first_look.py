"""The first look: the whole source against the cache, and the whole cache against the source, page by page.

It finds every key that may differ. Traffic goes on meanwhile, so most of them may just be on their way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from instrument_cache.change import is_tombstone, version_of
from instrument_cache.contract import Contract
from instrument_cache.contract.load import prefixes
from instrument_cache.reconcile.expected import Expected, ExpectedMaker
from instrument_cache.reconcile.judge import is_of_the_store
from instrument_cache.reconcile.model import Counts, Progress
from instrument_cache.reconcile.spool import Candidate, CandidateSpool, KeySpool
from instrument_cache.reconcile.wants import Wants
from instrument_cache.source.interface import Put, Source
from instrument_cache.source.whole_snapshot import begun, rows_of
from instrument_cache.store.interface import VersionedStore

_PAGE_ROWS: Final = 500
_PAGE_KEYS: Final = 500


class FirstLook:
    """Fills `candidates` and `counts`. `folder` takes what would not fit into memory."""

    def __init__(
        self,
        contract: Contract,
        source: Source,
        store: VersionedStore,
        wants: Wants,
        maker: ExpectedMaker,
        folder: Path,
        shards: int,
        pause: Callable[[], None],
    ) -> None:
        self._contract, self._source, self._store, self._wants, self._maker = contract, source, store, wants, maker
        self._pause, self._shards = pause, shards
        self._expected = KeySpool(folder, "expected", shards)
        self._cached = KeySpool(folder, "cached", shards)
        self.candidates = CandidateSpool(folder, shards)
        self.counts = Counts()

    def look(self, progress: Progress) -> None:
        """Raises SourceUnavailable, StoreUnavailable, SpoolFull."""
        self._read_source(progress)
        self._read_cache(progress)
        for shard in range(self._shards):
            self._find_extras(shard)
            progress("extras", shard + 1, self._shards)

    def _read_source(self, progress: Progress) -> None:
        events = self._source.snapshot()
        begin = begun(next(events, None))
        puts = rows_of(events)
        while page := list(islice(puts, _PAGE_ROWS)):
            self._compare(page)
            progress("source", self.counts.rows, begin.rows)
            self._pause()

    def _compare(self, page: list[Put]) -> None:
        wanted: dict[str, bytes] = {}
        owners: dict[str, Candidate] = {}
        ended: dict[str, Candidate] = {}
        for put, made in zip(page, self._maker.of_many(page), strict=True):
            if made is None:
                self.counts.rejected_rows += 1
                self._expected.add([self._contract.redis_key(put.key).encode(errors="surrogatepass")])
                continue
            if made.expires_at_ms and self._wants.is_overdue(made):
                ended |= {key: Candidate(key, put.key, 0) for key in made.values}
                continue
            self._take(put, made, wanted, owners)
        self.counts.rows += len(page)
        self.counts.expected_keys += len(wanted)
        self._expected.add([key.encode() for key in (*wanted, *ended)])
        for key in self._store.unequal(wanted):
            self.candidates.add(owners[key])
        self._compare_ended(ended)

    def _compare_ended(self, ended: dict[str, Candidate]) -> None:
        """What has outlived its time should be gone."""
        for candidate, held in zip(ended.values(), self._store.get_many(list(ended)), strict=True):
            if held is not None:
                self.candidates.add(candidate)

    def _take(self, put: Put, made: Expected, wanted: dict[str, bytes], owners: dict[str, Candidate]) -> None:
        version = version_of(next(iter(made.values.values())))
        for key, value in made.values.items():
            claim = Candidate(key, put.key, version)
            if key in wanted:  # two rows bear one alias: the second look sees which of them it leads to
                self.candidates.add(claim)
                self.candidates.add(owners[key])
            wanted[key], owners[key] = value, claim

    def _read_cache(self, progress: Progress) -> None:
        seen = 0
        for page in self._store.keys(*prefixes(self._contract)):
            readable = [key for key in page if b"\n" not in key]
            self._cached.add(readable)
            self.counts.unreadable_keys += len(page) - len(readable)
            seen += len(page)
            progress("cache", seen, None)
            self._pause()

    def _find_extras(self, shard: int) -> None:
        """The cached keys of a shard that the source did not name."""
        cached = self._cached.read(shard)
        extras = iter(sorted(cached - self._expected.read(shard)))
        self.counts.cached_keys += len(cached)
        while page := list(islice(extras, _PAGE_KEYS)):
            self._look_at_extras(list(self._readable(page)))
            self._pause()

    def _readable(self, keys: Iterable[bytes]) -> Iterator[str]:
        for key in keys:
            try:
                yield key.decode()
            except UnicodeDecodeError:
                self.counts.unreadable_keys += 1

    def _look_at_extras(self, keys: list[str]) -> None:
        """The source is asked at this moment: neither a row that came meanwhile nor one that goes later is an extra."""
        held = dict(zip(keys, self._store.get_many(keys), strict=True))
        alive = {key: value for key, value in held.items() if not self._is_remembered(value)}
        owners = {key: self._wants.owner(key, value) for key, value in alive.items()}
        wants = self._wants.of({key: [owner] if owner else [] for key, owner in owners.items()})
        for key, value in alive.items():
            want = wants[key].value
            version = version_of(want) if want else 0
            held_before = version_of(value) if value and is_of_the_store(value) else 0
            self.candidates.add(Candidate(key, owners[key] or "", version, held_before))

    def _is_remembered(self, held: bytes | None) -> bool:
        """True for a tombstone whose time has not passed."""
        if held is None or not is_of_the_store(held) or not is_tombstone(held):
            return False
        self.counts.tombstones += 1
        self.counts.cached_keys -= 1
        return not self._wants.tombstone_overdue(held)
