"""Under which key and version a topic keeps a row, whatever the row holds."""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

import msgspec

KEY_BYTES_MAX: Final = 256
_HASH_PREFIX: Final = "sha256:"
_VERSION_DIGITS: Final = 16
_ABSENT: Final = (b"", b"null")


class RowIdentity(NamedTuple):
    """The key of a row, and its version, or None if the row takes the time of its publishing."""

    key: str
    version: int | None


class RowReader:
    """Reads the identity of rows: JSON objects with a key field, and all else under a hash of its content.

    A row that breaks a rule never replaces a good one, and published twice it is one entry, not two.
    """

    def __init__(self, key_field: str, version_field: str) -> None:
        fields = msgspec.defstruct(
            "KeyAndVersion",
            [("key", str), ("version", msgspec.Raw, msgspec.Raw())],
            rename={"key": key_field, "version": version_field},
            gc=False,
        )
        self._decode = msgspec.json.Decoder(fields).decode

    def read(self, row: bytes) -> RowIdentity:
        """The identity of any bytes."""
        try:
            if not row.isascii():
                row.decode()  # the decoder does not look into the fields that it skips
            fields: Any = self._decode(row)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _by_content(row)
        key: str = fields.key
        if not 0 < len(key.encode()) <= KEY_BYTES_MAX or key.startswith(_HASH_PREFIX):
            return _by_content(row)
        raw = bytes(fields.version)
        if raw in _ABSENT:
            return RowIdentity(key, None)
        if len(raw) != _VERSION_DIGITS or not raw.isdigit():
            return _by_content(row)
        return RowIdentity(key, int(raw))


def _by_content(row: bytes) -> RowIdentity:
    return RowIdentity(_HASH_PREFIX + hashlib.sha256(row).hexdigest(), None)
