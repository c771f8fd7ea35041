"""One batch of Kafka values → the store: decode, keep the newest per key, offer, count. Knows nothing of Flink."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from instrument_cache.change import Change, ChangeDecoder, Outcome, stored_alias
from instrument_cache.contract import Contract
from instrument_cache.errors import RejectedChange, StoreUnavailable
from instrument_cache.store.interface import APPLIED, DUPLICATE, STALE, TIE_APPLIED, TIE_STALE, VersionedStore

logger = structlog.get_logger()

TIES: Final = "ties"
_PAUSE_S_MIN: Final = 0.05
_PAUSE_S_MAX: Final = 1.0


class BatchApplier:
    """Applies batches of change records of one contract to a store.

    `retry_s` bounds how long a batch waits for a store that does not answer, before the caller gets StoreUnavailable.
    """

    def __init__(
        self, contract: Contract, store: VersionedStore, decoder: ChangeDecoder | None = None, retry_s: float = 0.0
    ) -> None:
        self._contract = contract
        self._store = store
        self._decoder = decoder or ChangeDecoder(contract)
        self._retry_s = retry_s

    def apply(self, values: Sequence[bytes | None]) -> dict[int, str]:
        """Apply every value; None is Kafka's own tombstone, which follows a delete that was applied long ago.

        Returns {position in `values`: reason} of the rejected ones. When it returns, the store has taken the others.
        """
        self._decoder.start_batch()
        batch = _Batch(self._contract)
        for at, value in enumerate(values):
            if value is None:
                batch.counts[Outcome.DUPLICATE] += 1
                continue
            try:
                batch.add(self._decoder.decode(value))
            except RejectedChange as error:
                batch.rejected[at] = str(error)
        self._retry(lambda: self._settle(batch))
        return batch.rejected

    def _settle(self, batch: _Batch) -> None:
        letters = self._store.offer(batch.instruments | batch.aliases, batch.expires_at_ms)
        counts = batch.counts + _count(letters[: len(batch.instruments)])
        counts[Outcome.REJECTED] = len(batch.rejected)
        self._store.count(+counts)

    def _retry(self, action: Callable[[], None]) -> None:
        deadline = time.monotonic() + self._retry_s
        pause_s = _PAUSE_S_MIN
        while True:
            try:
                return action()
            except StoreUnavailable as error:
                if time.monotonic() + pause_s > deadline:
                    raise
                logger.warning("store_unavailable", error=str(error), retry_in_s=pause_s)
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _PAUSE_S_MAX)


class _Batch:
    """The newest bytes per full key, of instruments and of aliases, and what became of the rest."""

    def __init__(self, contract: Contract) -> None:
        self._prefix = f"{contract.key_prefix}:"
        self._key_name = contract.key.name.encode()
        self.instruments: dict[str, bytes] = {}
        self.aliases: dict[str, bytes] = {}
        self.expires_at_ms: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self.rejected: dict[int, str] = {}

    def add(self, change: Change) -> None:
        key = self._prefix + change.key
        held = self.instruments.get(key)
        if held is not None:
            self.counts[Outcome.DUPLICATE if held == change.stored else Outcome.SUPERSEDED] += 1
        if held is None or change.stored > held:
            self.instruments[key] = change.stored
            self._set_expiry(key, change.expires_at_ms)
        if change.aliases:
            self._add_aliases(change)

    def _add_aliases(self, change: Change) -> None:
        stored = stored_alias(change.stored, self._key_name, change.key)
        for prefix, identifier in change.aliases:
            key = f"{prefix}:{identifier}"
            if stored > self.aliases.get(key, b""):
                self.aliases[key] = stored
                self._set_expiry(key, change.expires_at_ms)

    def _set_expiry(self, key: str, expires_at_ms: int) -> None:
        if expires_at_ms:
            self.expires_at_ms[key] = expires_at_ms
        elif self.expires_at_ms:
            self.expires_at_ms.pop(key, None)


def _count(letters: str) -> Counter[str]:
    return Counter(
        {
            Outcome.APPLIED: letters.count(APPLIED) + letters.count(TIE_APPLIED),
            Outcome.DUPLICATE: letters.count(DUPLICATE),
            Outcome.STALE: letters.count(STALE) + letters.count(TIE_STALE),
            TIES: letters.count(TIE_APPLIED) + letters.count(TIE_STALE),
        }
    )
