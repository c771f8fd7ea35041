"""Puts the newest state of a key behind a replayed record that turned out to be older.

The change topic is compacted: of each key the last record stays, whatever its version. If a newer change came in
between the look at the store and the write, the replayed one would be what stays, and a job that starts from the log's
beginning would bring the older state back.
"""

from __future__ import annotations

import msgspec

from instrument_cache.change import VERSION_AT, is_tombstone, version_of
from instrument_cache.contract import Contract


def newest_record(stored: bytes, key: str, contract: Contract) -> bytes:
    """A change record that makes exactly these stored bytes."""
    version, payload = version_of(stored), b"{" + stored[VERSION_AT.stop + 1 :]
    if is_tombstone(stored):
        deleted_at = payload.removeprefix(b'{"~deleted_at":').removesuffix(b"}")
        origin = b'{"name":"replay","position":0,"timestamp":%b}' % deleted_at
        record = msgspec.json.encode({contract.key.name: key})
        return b'{"op":"delete","version":%d,"source":%b,"record":%b}' % (version, origin, record)
    return b'{"op":"put","version":%d,"source":{"name":"replay","position":0},"record":%b}' % (version, payload)
