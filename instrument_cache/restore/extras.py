"""Which keys the cache holds and a backup lacks, found shard by shard: neither set is whole in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from instrument_cache.backup.reader import BackupReader
from instrument_cache.reconcile.spool import KeySpool


def extras(pages: Iterable[list[bytes]], reader: BackupReader, folder: Path) -> Iterator[list[str]]:
    """The keys of `pages` that are not of the backup, a shard at a time. `folder` is scratch space.

    A key that is no ASCII, or holds a line break, was not written by the product and is passed over. Raises SpoolFull.
    """
    # A spool and a backup put a key into the same shard of as many.
    spool = KeySpool(folder, "cache", len(reader.manifest.shards))
    for page in pages:
        spool.add([key for key in page if key.isascii() and b"\n" not in key])
    for index, shard in enumerate(reader.manifest.shards):
        held = {key.decode() for key in spool.read(index)}
        if held:
            yield sorted(held.difference(entry.key for entry in reader.shard(shard)))
