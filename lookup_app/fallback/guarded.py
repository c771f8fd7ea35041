"""A row of the source → what the cache holds of it: decoded and judged as the stream does, and put under the guard."""

from __future__ import annotations

import msgspec

from instrument_cache.change import Change, ChangeDecoder, stored_alias
from instrument_cache.clock import Clock, SystemClock
from instrument_cache.contract import Contract, VersionUnit
from instrument_cache.errors import RejectedChange, SettingsError
from instrument_cache.projection import encode
from instrument_cache.store.interface import VersionedStore
from lookup_app.fallback.source import SourceRow

_NAME = "fallback"


class GuardedPut:
    """Puts rows of one contract into the store. Raises SettingsError for a contract whose versions are no µs."""

    def __init__(self, contract: Contract, store: VersionedStore, clock: Clock | None = None) -> None:
        if contract.version_unit is not VersionUnit.MICROSECONDS:
            raise SettingsError(
                f"ICACHE_LOOKUP_FALLBACK_URL cannot serve {contract.dataset!r}, whose versions are a "
                f"{contract.version_unit.value}: a source tells its versions in microseconds; unset it"
            )
        self._contract, self._store, self._clock = contract, store, clock or SystemClock()
        self._key_name = contract.key.name.encode()

    def put(self, key: str, row: SourceRow) -> bytes | None:
        """What the store holds under `key` afterwards, which may be newer than the row.

        Raises RejectedChange for a row that the stream would reject too, or of another key; StoreUnavailable.
        """
        # The decoder keeps the state of a batch, so that each call has one of its own.
        change = ChangeDecoder(self._contract, self._clock).decode(self._record(row))
        if change.key != key:
            raise RejectedChange("another_key", f"the source sent {change.key!r} for {key!r}")
        redis_key = self._contract.redis_key(key)
        values = {redis_key: change.stored, **self._aliases(change)}
        expires = dict.fromkeys(values, change.expires_at_ms) if change.expires_at_ms else {}
        self._store.offer(values, expires)
        return self._store.get_many([redis_key])[0]

    def _record(self, row: SourceRow) -> bytes:
        """The change record that the feed makes of the row. Raises RejectedChange."""
        try:
            # It must be one JSON object as a whole: else it could close the record and forge the members around it.
            msgspec.json.decode(row.payload, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RejectedChange("malformed_json", f"{error}; the row begins with {row.payload[:40]!r}") from None
        origin = encode({"name": _NAME, "timestamp": row.timestamp_us, "received_at": self._clock.now_us()})
        return b'{"op":"put","version":%d,"source":%b,"record":%b}' % (row.version, origin, row.payload)

    def _aliases(self, change: Change) -> dict[str, bytes]:
        hint = stored_alias(change.stored, self._key_name, change.key)
        return {f"{prefix}:{identifier}": hint for prefix, identifier in change.aliases}
