"""Source messages → change records (see `instrument_cache.change` for their form)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from instrument_cache.contract import Contract, VersionUnit
from instrument_cache.source.interface import Put

_NO_VALUE: Final = (b"", b"null")


class RecordMaker:
    """Wraps a source's rows without looking at more than the version, and without changing a byte of them.

    The feed judges nothing: what breaks a rule is rejected by the job, which keeps the reason beside the bytes.
    """

    def __init__(self, contract: Contract, source_name: str) -> None:
        field = contract.version_field.name
        peek = msgspec.defstruct("Peek", [("version", msgspec.Raw, msgspec.Raw())], rename={"version": field})
        self._peek: Any = msgspec.json.Decoder(peek).decode
        self._key = contract.key.name
        self._unit = contract.version_unit
        self._source = source_name

    def put(self, event: Put, received_at_us: int) -> bytes:
        """A change record; a row that is not JSON goes through as it is, because nothing can be wrapped around it."""
        try:
            version = self._version(event.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return event.payload
        version = self._on_the_wire(version, event)
        return b'{"op":"put","version":%b,"source":%b,"record":%b}' % (
            version,
            self._origin(event.position, event.timestamp_us, received_at_us),
            event.payload,
        )

    def _on_the_wire(self, version: bytes, event: Put) -> bytes:
        """The source's number as 16 digits. What is no number of the contract's unit is left for the job to reject."""
        if version in _NO_VALUE:
            return b"%d" % (event.timestamp_us if self._unit.is_time else self._unit.to_wire(event.position))
        if self._unit is VersionUnit.MICROSECONDS:
            return version
        try:
            return b"%d" % self._unit.to_wire(int(version))
        except ValueError:
            return b"-" + version if version.isdigit() else version

    def _version(self, row: bytes) -> bytes:
        """The version as it stands in the row. Raises msgspec.DecodeError if the row as a whole is not JSON."""
        try:
            return bytes(self._peek(row).version)
        except msgspec.ValidationError:
            # Not an object. The decoder stopped at its first byte, so what follows was not looked at: were it not JSON,
            # it could close the record early and forge the members around it.
            msgspec.json.decode(row)
            return b""

    def delete(self, key: str, version: int, position: int, timestamp_us: int, received_at_us: int) -> bytes:
        return b'{"op":"delete","version":%d,"source":%b,"record":%b}' % (
            version,
            self._origin(position, timestamp_us, received_at_us),
            msgspec.json.encode({self._key: key}),
        )

    def canary(self, position: int, now_us: int) -> bytes:
        """A record of the feed's own: `now_us` is its version and all of its times."""
        return b'{"op":"canary","version":%d,"source":%b,"record":{}}' % (
            now_us,
            self._origin(position, now_us, now_us),
        )

    def _origin(self, position: int, timestamp_us: int, received_at_us: int) -> bytes:
        return b'{"name":"%b","position":%d,"timestamp":%d,"received_at":%d}' % (
            self._source.encode(),
            position,
            timestamp_us,
            received_at_us,
        )


class _Record(msgspec.Struct):
    op: str
    version: int
    record: msgspec.Raw


_decode_record = msgspec.json.Decoder(_Record).decode


def parse_record(value: bytes) -> tuple[str, int, bytes]:
    """A change record → (op, version, the row's own bytes); what is not one → ("put", 0, the bytes themselves)."""
    try:
        record = _decode_record(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "put", 0, value
    return record.op, record.version, bytes(record.record)
