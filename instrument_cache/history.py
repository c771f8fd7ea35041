"""What readers must know of a dataset beside its versions: its epoch, and what was last written past the log.

The change stream tells what comes through Kafka. A restore, and a repair by reconciliation, write into Redis itself, so
they leave a note here when they are done, and whoever follows the stream is told to read again:

    restored:{dataset} → {"at_ms":1763674000123,"run_id":…,"backup":…,"scope":…,"keys":[…],"before_ms":…}
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

import msgspec
import redis
from redis.exceptions import RedisError

from instrument_cache.epoch import Epoch, epoch_key, epoch_of
from instrument_cache.errors import StoreUnavailable

# More are not named: who keeps any of the dataset reads again what he keeps.
NAMED_KEYS_MAX: Final = 100
EVERYTHING: Final = "all keys"
# Sets the note if the one that it names as the one before is still there.
_NOTE: Final = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""


class Restored(msgspec.Struct, frozen=True):
    """The last write past the log. `at_ms` is when it was done, by Redis's clock; `keys` are named if there are few.

    `backup` is "" for a repair; `before_ms` is the `at_ms` of the note before this one, 0: there was none.
    """

    at_ms: int
    run_id: str
    backup: str
    scope: str
    keys: tuple[str, ...] = ()
    before_ms: int = 0


class History(NamedTuple):
    """The epoch, and the last write past the log (None: there was none)."""

    epoch: Epoch = Epoch()
    restored: Restored | None = None

    @property
    def mark(self) -> tuple[int, int]:
        """What tells this history from another one: the epoch's number, and when the last write was done (ms)."""
        return self.epoch.number, self.restored.at_ms if self.restored else 0

    def after(self, mark: tuple[int, int]) -> History:
        """This history as it is told to who knows that of `mark`: no keys are named if he missed another write too."""
        last = self.restored
        if last is None or mark[1] in (last.at_ms, last.before_ms):
            return self
        return self._replace(restored=msgspec.structs.replace(last, scope=EVERYTHING, keys=()))


class ReadsHistory(Protocol):
    """Raises StoreUnavailable."""

    def __call__(self) -> History: ...


def restored_key(dataset: str) -> str:
    """`restored:{dataset}`."""
    return f"restored:{dataset}"


def read_history(client: redis.Redis, dataset: str) -> History:
    """Both, as of one moment. Raises StoreUnavailable, also for what cannot be read."""
    try:
        found: Any = client.mget([epoch_key(dataset), restored_key(dataset)])
    except RedisError as error:
        raise StoreUnavailable(f"Redis did not read the epoch of {dataset}: {error}") from error
    return History(epoch_of(found[0], dataset), _restored_of(found[1], dataset))


def note_restored(client: redis.Redis, dataset: str, run_id: str, backup: str, scope: str, keys: list[str]) -> None:
    """Leave the note that something was written past the log. Of one run there is one. Raises StoreUnavailable."""
    named = tuple(keys) if len(keys) <= NAMED_KEYS_MAX else ()
    redis_: Any = client
    key = restored_key(dataset)
    try:
        while True:
            held = redis_.get(key)
            before = _restored_of(held, dataset)
            if before and before.run_id == run_id:
                return
            seconds, microseconds = redis_.time()
            at_ms = seconds * 1000 + microseconds // 1000
            note = Restored(at_ms, run_id, backup, scope, named, before.at_ms if before else 0)
            if redis_.eval(_NOTE, 1, key, msgspec.json.encode(note), held or b""):
                return
    except RedisError as error:
        raise StoreUnavailable(f"Redis did not take the note of what was restored to {dataset}: {error}") from error


def _restored_of(held: bytes | None, dataset: str) -> Restored | None:
    if held is None:
        return None
    try:
        return msgspec.json.decode(held, type=Restored)
    except msgspec.DecodeError as error:
        raise StoreUnavailable(f"{restored_key(dataset)} holds {held[:60]!r}, which is no note: {error}") from None
