"""What the log already says about each key, so that a new snapshot sends only what differs, and finds what is gone."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from instrument_cache.canary import is_canary
from instrument_cache.records import parse_record

_CRC_BITS = 32


class KnownState:
    """Version and checksum per key, packed in one integer each: a million keys take about 150 MB."""

    def __init__(self, records: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._held: dict[str, int] = {}
        for key, value in records:
            if not is_canary(key):  # it stands for no row: left in, it would be swept as gone from the source
                self.note(key.decode(errors="replace"), value)

    def __len__(self) -> int:
        return len(self._held)

    def note(self, key: str, value: bytes) -> None:
        """Remember a record that was written to the log. An older version does not replace a newer one."""
        op, version, row = parse_record(value)
        if version < self.version(key):
            return
        if op == "delete":
            self._held.pop(key, None)
        else:
            self._held[key] = version << _CRC_BITS | crc32(row)

    def says(self, key: str, value: bytes) -> bool:
        """True if the log's newest record of `key` has the version and the row of `value`."""
        _, version, row = parse_record(value)
        return self._held.get(key) == version << _CRC_BITS | crc32(row)

    def version(self, key: str) -> int:
        return self._held.get(key, 0) >> _CRC_BITS

    def missing_from(self, seen: set[str]) -> list[str]:
        """The keys that the log holds and `seen` does not."""
        return [key for key in self._held if key not in seen]
