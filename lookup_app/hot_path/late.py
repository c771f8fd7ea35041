"""An answer whose value comes later: who makes it waits for nothing meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from instrument_cache.errors import StoreUnavailable
from lookup_app.cache.reader import CachedReader
from lookup_app.entries import Instrument

# answer(found) is what the route says; `found` gives what was read, or raises Problem or StoreUnavailable.
Answer = Callable[[Callable[[], Instrument]], Iterable[bytes]]


class LateAnswer(NamedTuple):
    """The caller is admitted and charged, and the read has begun. One of `found` and `failed` must end it."""

    redis_key: str
    reader: CachedReader
    token: object
    instrument: Callable[[bytes | None], Instrument]
    answer: Answer

    def found(self, value: bytes | None, peer: object) -> Iterable[bytes]:
        """The stored bytes, or None, came from the Redis at `peer`."""
        self.reader.end_late(self.token, self.redis_key, value, peer)
        return self.answer(partial(self.instrument, value))

    def failed(self, error: StoreUnavailable, *, slow: bool) -> Iterable[bytes]:
        """Nothing came; `slow`: although it was waited for to the end."""
        self.reader.fail_late(self.token, self.redis_key, slow=slow)
        return self.answer(partial(_raise, error))


def _raise(error: Exception) -> Instrument:
    raise error
