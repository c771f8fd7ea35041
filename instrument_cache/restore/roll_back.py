"""Makes the cache exactly what a backup holds, newer data or not. Only in an epoch that was opened for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from instrument_cache.backup.entries import Entry
from instrument_cache.backup.reader import BackupReader
from instrument_cache.change import VERSION_AT, is_tombstone, stored_tombstone, version_of
from instrument_cache.contract import Contract
from instrument_cache.contract.load import prefixes
from instrument_cache.restore.counts import Counts
from instrument_cache.restore.extras import extras
from instrument_cache.restore.interface import RestoreStore
from instrument_cache.restore.offering import ENTRIES_PER_OFFER, Progress, chunks, is_alive, silent
from instrument_cache.restore.patience import Patience
from instrument_cache.restore.scope import KeyFilter
from instrument_cache.store.interface import Replacement


class RollBack:
    """Of one dataset and scope. `now_ms` is Redis's clock."""

    def __init__(
        self,
        contract: Contract,
        store: RestoreStore,
        wanted: KeyFilter,
        now_ms: Callable[[], int],
        patience: Patience,
        progress: Progress = silent,
    ) -> None:
        self._contract, self._store, self._wanted = contract, store, wanted
        self._now_ms, self._patience, self._progress = now_ms, patience, progress

    def run(self, reader: BackupReader, folder: Path) -> Counts:
        """Put every entry back, then remove what the backup lacks. `folder` is scratch space.

        Raises Unavailable; to be done again then. What another writer changes in the very moment is left.
        """
        counts = Counts()
        for chunk in chunks(reader.entries()):
            counts.read += len(chunk)
            self._put_back([entry for entry in chunk if self._wanted.wants(entry.key, entry.value)], counts)
            self._progress(counts)
        self._remove_extras(reader, folder, counts)
        return counts

    def _put_back(self, entries: list[Entry], counts: Counts) -> None:
        now_ms = self._patience.call(self._now_ms)
        older: list[Entry] = []
        newer: list[Replacement] = []
        ended: list[Replacement] = []
        for entry, held in zip(entries, self._held([entry.key for entry in entries]), strict=True):
            if not is_alive(entry, now_ms):
                ended.append(Replacement(entry.key, held, None))
            elif held is None or held < entry.value:
                older.append(entry)
            elif held == entry.value:
                counts.duplicate += 1
            else:
                newer.append(Replacement(entry.key, held, entry.value, entry.expires_at_ms))
        self._offer(older, counts)
        counts.replaced += self._replace(newer, counts)
        self._remove(ended, counts)

    def _offer(self, entries: list[Entry], counts: Counts) -> None:
        values = {entry.key: entry.value for entry in entries}
        expires_at_ms = {entry.key: entry.expires_at_ms for entry in entries if entry.expires_at_ms}
        counts.add_letters(self._patience.call(lambda: self._store.offer(values, expires_at_ms)))

    def _replace(self, wanted: list[Replacement], counts: Counts) -> int:
        """How many were done; the others had moved."""
        done = sum(self._patience.call(lambda: self._store.replace_many(wanted)))
        counts.moved += len(wanted) - done
        return done

    def _remove(self, ended: list[Replacement], counts: Counts) -> None:
        held = [each for each in ended if each.seen is not None]
        counts.expired += len(ended) - len(held)
        counts.removed += self._replace(held, counts)

    def _remove_extras(self, reader: BackupReader, folder: Path, counts: Counts) -> None:
        pages = self._store.keys(*prefixes(self._contract))
        for keys in extras(pages, reader, folder):
            for part in _parts(keys):
                self._remove_part(part, counts)
                self._progress(counts)

    def _remove_part(self, keys: Sequence[str], counts: Counts) -> None:
        """An instrument leaves a tombstone of its version, so that a replay of the log does not bring it back."""
        now_us = self._patience.call(self._now_ms) * 1000
        expires_at_ms = now_us // 1000 + self._contract.tombstone_ttl_s * 1000
        tombstones: dict[str, bytes] = {}
        others: list[Replacement] = []
        for key, held in zip(keys, self._held(keys), strict=True):
            if held is None or is_tombstone(held) or not self._wanted.wants(key, held):
                continue
            if key.startswith(self._contract.redis_key("")) and held[VERSION_AT].isdigit():
                tombstones[key] = stored_tombstone(version_of(held), now_us)
            else:
                others.append(Replacement(key, held, None))
        self._remove(others, counts)
        self._bury(tombstones, expires_at_ms, counts)

    def _bury(self, tombstones: dict[str, bytes], expires_at_ms: int, counts: Counts) -> None:
        offered = dict.fromkeys(tombstones, expires_at_ms)
        buried = Counts()
        buried.add_letters(self._patience.call(lambda: self._store.offer(tombstones, offered)))
        counts.removed += buried.applied + buried.duplicate
        counts.moved += buried.stale

    def _held(self, keys: Sequence[str]) -> list[bytes | None]:
        return self._patience.call(lambda: self._store.get_many(keys))


def _parts(keys: Sequence[str]) -> Iterable[Sequence[str]]:
    return (keys[at : at + ENTRIES_PER_OFFER] for at in range(0, len(keys), ENTRIES_PER_OFFER))
