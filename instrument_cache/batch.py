"""One batch of Kafka values → the store: decode, keep the newest per key, offer, settle the account. Knows no Flink."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from itertools import compress
from typing import Final

import structlog

from instrument_cache.canary import stored_key
from instrument_cache.change import ChangeDecoder, Outcome, stored_alias
from instrument_cache.clock import Clock, SystemClock
from instrument_cache.contract import Contract
from instrument_cache.errors import RejectedChange, StoreUnavailable, Unavailable
from instrument_cache.identifiers_many import valid_for
from instrument_cache.lag_measure import lag_counts
from instrument_cache.ledger import Ledger
from instrument_cache.plain_puts import Aliases, Origin, Puts, Valid
from instrument_cache.reject_gate import RejectGate
from instrument_cache.store.interface import NotSettled, VersionedStore

logger = structlog.get_logger()

# While Redis works on one part of a batch the next one is decoded. One script call takes up to 1000 keys.
_RECORDS_PER_OFFER: Final = 1000
# One is enough unless two workers hold the same partition, which ends when Flink has ended one of them.
_SETTLEMENTS_MAX: Final = 10
_PAUSE_S_MIN: Final = 0.05
_PAUSE_S_MAX: Final = 1.0


class BatchApplier:
    """Applies batches of change records of one contract to a store, and accounts for every record.

    `retry_s` bounds how long a batch waits for a part that does not answer, before the caller gets Unavailable.
    """

    def __init__(
        self,
        contract: Contract,
        store: VersionedStore,
        decoder: ChangeDecoder | None = None,
        retry_s: float = 0.0,
        gate: RejectGate | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._contract = contract
        self._store = store
        self._decoder = decoder or ChangeDecoder(contract)
        self._retry_s = retry_s
        self._gate = gate
        self._clock = clock or SystemClock()
        self._valid = valid_for(contract.key)
        self._ledger = Ledger(store)

    def apply(
        self, values: Sequence[bytes | None], partitions: Sequence[int], offsets: Sequence[int]
    ) -> dict[int, str]:
        """Apply every value; None is Kafka's own tombstone, which follows a delete that was applied long ago.

        The sequences are equally long; a partition's offsets ascend. Returns {position: why} of the rejected ones. When
        it returns, the store has taken the others and every offset is accounted. Raises Unavailable after `retry_s`,
        and RejectLimit if the gate stops the stream; then the same batch applied again ends in the same state.
        """
        rejected = self._retrying(values, partitions, offsets)
        if self._gate:
            self._gate.note(len(values), list(rejected.values()))
        return rejected

    def _retrying(
        self, values: Sequence[bytes | None], partitions: Sequence[int], offsets: Sequence[int]
    ) -> dict[int, str]:
        deadline = time.monotonic() + self._retry_s
        pause_s = _PAUSE_S_MIN
        while True:
            try:
                return self._until_settled(values, partitions, offsets)
            except Unavailable as error:
                self._ledger.forget()
                if time.monotonic() + pause_s > deadline:
                    raise
                logger.warning("store_unavailable", error=str(error), retry_in_s=pause_s)
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _PAUSE_S_MAX)

    def _until_settled(
        self, values: Sequence[bytes | None], partitions: Sequence[int], offsets: Sequence[int]
    ) -> dict[int, str]:
        for _ in range(_SETTLEMENTS_MAX):
            try:
                return self._apply(values, partitions, offsets)
            except NotSettled:
                self._ledger.forget()
        raise StoreUnavailable(f"a batch was not settled in {_SETTLEMENTS_MAX} tries: do two jobs of the dataset run?")

    def _apply(
        self, values: Sequence[bytes | None], partitions: Sequence[int], offsets: Sequence[int]
    ) -> dict[int, str]:
        if self._gate:
            self._gate.check()
        self._decoder.start_batch()
        page = self._ledger.open(partitions, offsets)
        exchange = self._store.exchange()
        try:
            tally = _Tally()
            for start in range(0, len(values), _RECORDS_PER_OFFER):
                part = _Part(self._contract, page.slots, partitions, tally)
                part.add(self._decoder, self._valid, values[start : start + _RECORDS_PER_OFFER], start)
                exchange.offer(part.held | part.aliases, part.expires_at_ms, part.finish())
            exchange.finish(page.entries(tally.counts), lag_counts(tally.origins, self._clock.now_us()))
        except BaseException:
            exchange.drop()
            raise
        self._ledger.close(page)
        return tally.rejected


class _Tally:
    """What a batch comes to besides what the store decides: {(slot, outcome): records}, rejects, origins."""

    __slots__ = ("counts", "origins", "rejected")

    def __init__(self) -> None:
        self.counts: Counter[tuple[int, str]] = Counter()
        self.rejected: dict[int, str] = {}
        self.origins: list[Origin] = []


class _Part:
    """Records that are offered together: the newest bytes per full key, of instruments and of aliases."""

    __slots__ = (
        *("_dataset", "_key_name", "_owners", "_partitions", "_prefix", "_slots", "_tally"),
        *("aliases", "expires_at_ms", "held"),
    )

    def __init__(self, contract: Contract, slots: bytes, partitions: Sequence[int], tally: _Tally) -> None:
        self._prefix = f"{contract.key_prefix}:"
        self._dataset = contract.dataset
        self._partitions = partitions
        self._key_name = contract.key.name.encode()
        self._slots = slots
        self._tally = tally
        self._owners = bytearray()
        self.held: dict[str, bytes] = {}
        self.aliases: dict[str, bytes] = {}
        self.expires_at_ms: dict[str, int] = {}

    def add(self, decoder: ChangeDecoder, valid: Valid, values: Sequence[bytes | None], start: int) -> None:
        """Take the values, the first of which stands at `start` in the batch. Once for each part."""
        puts = decoder.plain_puts(values, valid)
        self._take(puts, self._slots[start : start + len(values)])
        for at in puts.others:
            self._look_closer(decoder, values[at], start + at)

    def _take(self, puts: Puts, slots: bytes) -> None:
        """Here the worker spends its time: nearly all puts are of instruments that are in the part only once."""
        own = bytes(map(slots.__getitem__, puts.places)) if puts.others else slots
        self._tally.origins.extend(compress(puts.origins, own))
        keys = list(map(self._prefix.__add__, puts.keys))
        first = dict(zip(reversed(keys), reversed(range(len(keys))), strict=True))
        is_first = [first[key] == at for at, key in enumerate(keys)]
        self.held = dict(compress(zip(keys, puts.stored, strict=True), is_first))
        self._owners = bytearray(compress(own, is_first))
        if puts.expires_at_ms:
            self.expires_at_ms = dict(compress(zip(keys, puts.expires_at_ms, strict=True), is_first))
        for at in range(len(keys)) if len(first) < len(keys) else ():
            if not is_first[at]:
                expires_at_ms = puts.expires_at_ms[at] if puts.expires_at_ms else 0
                self._hold(keys[at], puts.stored[at], own[at], expires_at_ms)
        for at, aliases in enumerate(puts.aliases):
            if aliases:
                expires_at_ms = puts.expires_at_ms[at] if puts.expires_at_ms else 0
                self._add_aliases(puts.keys[at], puts.stored[at], aliases, expires_at_ms)

    def _hold(self, key: str, stored: bytes, slot: int, expires_at_ms: int) -> None:
        """One record more of a full key."""
        before = self.held.get(key)
        if before is None:
            self._owners.append(slot)
        else:
            # Each record counts once in its own slot, whichever of the two is the newer.
            outcome = Outcome.DUPLICATE if before == stored else Outcome.SUPERSEDED
            self._tally.counts[slot, outcome] += 1
        if before is None or stored > before:
            self.held[key] = stored
            self._set_expiry(key, expires_at_ms)

    def _look_closer(self, decoder: ChangeDecoder, value: bytes | None, at: int) -> None:
        """A value that is no plain put."""
        slot = self._slots[at]
        if value is None:
            self._tally.counts[slot, Outcome.DUPLICATE] += 1
            return
        try:
            change = decoder.decode(value)
        except RejectedChange as error:
            self._tally.counts[slot, Outcome.REJECTED] += 1
            self._tally.rejected[at] = str(error)
            return
        if not change.key:
            partition = int(self._partitions[at])
            self._hold(stored_key(self._dataset, partition), b"%b%d}" % (change.stored, partition), slot, 0)
            return
        if slot:
            self._tally.origins.append(change.origin)
        self._hold(self._prefix + change.key, change.stored, slot, change.expires_at_ms)
        self._add_aliases(change.key, change.stored, change.aliases, change.expires_at_ms)

    def _add_aliases(self, key: str, stored: bytes, aliases: Aliases, expires_at_ms: int) -> None:
        if not aliases:
            return
        hint = stored_alias(stored, self._key_name, key)
        for prefix, identifier in aliases:
            alias = f"{prefix}:{identifier}"
            if hint > self.aliases.get(alias, b""):
                self.aliases[alias] = hint
                self._set_expiry(alias, expires_at_ms)

    def _set_expiry(self, key: str, expires_at_ms: int) -> None:
        if expires_at_ms:
            self.expires_at_ms[key] = expires_at_ms
        else:
            self.expires_at_ms.pop(key, None)

    def finish(self) -> bytes:
        """The slot of each of `held`; all of these count as applied until the store says otherwise."""
        for slot, offered in Counter(self._owners).items():
            self._tally.counts[slot, Outcome.APPLIED] += offered
        return bytes(self._owners)
