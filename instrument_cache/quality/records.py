"""The records of each input, one after the other, as they lie there."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from instrument_cache.backup.reader import BackupReader
from instrument_cache.contract import Contract
from instrument_cache.source.interface import Source
from instrument_cache.source.whole_snapshot import whole_snapshot
from instrument_cache.store.interface import VersionedStore

NO_BYTES: Final = "another Redis type than a string"


class Raw(NamedTuple):
    """A record where it lies. `payload` None: there are no bytes. `published_us`: of the source, µs since 1970."""

    place: str
    payload: bytes | None
    published_us: int = 0


class Sampling:
    """Whether a record is looked at: by its key, so that each run looks at the same ones. Counts what it was asked."""

    def __init__(self, percent: int = 100) -> None:
        self._percent = percent
        self.seen = self.taken = 0

    def __call__(self, place: str) -> bool:
        is_taken = self._percent >= 100 or zlib.crc32(place.encode(errors="replace")) % 100 < self._percent
        self.seen += 1
        self.taken += is_taken
        return is_taken

    def whole(self, taken: int) -> int:
        """An estimate of how many there are, of how many of them were taken."""
        return round(taken * self.seen / self.taken) if self.taken else 0


def of_cache(store: VersionedStore, contract: Contract, taken: Sampling) -> Iterator[list[Raw]]:
    """Pages of what lies under the dataset's prefix, each key once, tombstones too. Raises StoreUnavailable."""
    seen: set[bytes] = set()
    for page in store.keys(contract.key_prefix):
        new = [key for key in dict.fromkeys(page) if key not in seen]
        seen.update(new)
        yield list(_values(store, [key for key in new if taken(_text(key))]))


def _values(store: VersionedStore, keys: list[bytes]) -> Iterator[Raw]:
    names = {key: _text(key) for key in keys}
    # What is no text in UTF-8 is no key of the product; its name would not come back as the same bytes.
    readable = [key for key in keys if names[key].encode() == key]
    yield from (Raw(names[key], None) for key in keys if names[key].encode() != key)
    texts = [names[key] for key in readable]
    values = store.get_many(texts)
    missing = [text for text, value in zip(texts, values, strict=True) if value is None]
    foreign = store.foreign(missing) if missing else set()
    for text, value in zip(texts, values, strict=True):
        if value is not None or text in foreign:  # else it went meanwhile
            yield Raw(text, value)


def _text(key: bytes) -> str:
    return key.decode(errors="replace")


def of_source(source: Source, taken: Sampling) -> Iterator[list[Raw]]:
    """The rows of a whole snapshot. Raises SourceUnavailable, also if it broke off."""
    for put in whole_snapshot(source.snapshot()):
        yield [Raw(put.key, put.payload, put.timestamp_us)] if taken(put.key) else []


def of_backup(reader: BackupReader, contract: Contract, taken: Sampling) -> Iterator[list[Raw]]:
    """The entries of one copy, shard by shard. Raises BackupRefused, ObjectStoreUnavailable."""
    prefix = f"{contract.key_prefix}:"
    for shard in reader.manifest.shards:
        entries = (entry for entry in reader.shard(shard) if entry.key.startswith(prefix))
        yield [Raw(entry.key, entry.value) for entry in entries if taken(entry.key)]


def batches(pages: Iterable[list[Raw]], size: int) -> Iterator[list[Raw]]:
    """Pages → lists of at least `size` records; the last may be shorter."""
    batch: list[Raw] = []
    for page in pages:
        batch += page
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
