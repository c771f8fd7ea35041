"""One batch of Kafka values → the store: decode, keep the newest per key, offer, settle the account. Knows no Flink."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

import structlog

from instrument_cache.canary import stored_key
from instrument_cache.change import Aliases, ChangeDecoder, Origin, Outcome, Valid, stored_alias
from instrument_cache.clock import Clock, SystemClock
from instrument_cache.contract import Contract
from instrument_cache.errors import RejectedChange, StoreUnavailable, Unavailable
from instrument_cache.identifiers_many import valid_for
from instrument_cache.lag_measure import lag_counts
from instrument_cache.ledger import Ledger
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
        """Take the values, the first of which stands at `start` in the batch. Here the worker spends its time."""
        held, owner, prefix, counts = self.held, self._owners.append, self._prefix, self._tally.counts
        note_origin = self._tally.origins.append
        slots = self._slots[start : start + len(values)]
        puts = decoder.plain_puts(values, valid)
        for at, (put, slot) in enumerate(zip(puts, slots, strict=True), start):
            change = put or self._look_closer(decoder, values[at - start], at, slot)
            if change is None:
                continue
            key, stored, aliases, expires_at_ms, origin = change
            if origin is not None and slot:
                note_origin(origin)
            key = prefix + key if origin is not None else key
            before = held.get(key)
            if before is None:
                owner(slot)
            else:
                # Each record counts once in its own slot, whichever of the two is the newer.
                counts[slot, Outcome.DUPLICATE if before == stored else Outcome.SUPERSEDED] += 1
            if before is None or stored > before:
                held[key] = stored
                if expires_at_ms or self.expires_at_ms:
                    self._set_expiry(key, expires_at_ms)
            if aliases:
                self._add_aliases(change[0], stored, aliases, expires_at_ms)

    def _look_closer(
        self, decoder: ChangeDecoder, value: bytes | None, at: int, slot: int
    ) -> tuple[str, bytes, Aliases, int, Origin | None] | None:
        """A value that is no plain put. None if it changes no key; without an origin, the key is a full one."""
        if value is None:
            self._tally.counts[slot, Outcome.DUPLICATE] += 1
            return None
        try:
            change = decoder.decode(value)
        except RejectedChange as error:
            self._tally.counts[slot, Outcome.REJECTED] += 1
            self._tally.rejected[at] = str(error)
            return None
        if change.key:
            return change.key, change.stored, change.aliases, change.expires_at_ms, change.origin
        partition = int(self._partitions[at])
        return stored_key(self._dataset, partition), b"%b%d}" % (change.stored, partition), (), 0, None

    def _add_aliases(self, key: str, stored: bytes, aliases: Aliases, expires_at_ms: int) -> None:
        hint = stored_alias(stored, self._key_name, key)
        for prefix, identifier in aliases:
            alias = f"{prefix}:{identifier}"
            if hint > self.aliases.get(alias, b""):
                self.aliases[alias] = hint
                self._set_expiry(alias, expires_at_ms)

    def _set_expiry(self, key: str, expires_at_ms: int) -> None:
        if expires_at_ms:
            self.expires_at_ms[key] = expires_at_ms
        elif self.expires_at_ms:
            self.expires_at_ms.pop(key, None)

    def finish(self) -> bytes:
        """The slot of each of `held`; all of these count as applied until the store says otherwise."""
        for slot, offered in Counter(self._owners).items():
            self._tally.counts[slot, Outcome.APPLIED] += offered
        return bytes(self._owners)
