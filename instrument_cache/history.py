"""What readers must know of a dataset beside its versions: its epoch, and what was last written past the log.

The change stream tells what comes through Kafka. A restore writes into Redis itself, so it leaves a note here when it
is done, and whoever follows the stream is told to read again:

    restored:{dataset} → {"at_ms":1763674000123,"run_id":…,"backup":…,"scope":…,"keys":[…]}
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
# Sets the note, unless this run has left it there before.
_NOTE: Final = """
local held = redis.call('GET', KEYS[1])
if held and cjson.decode(held).run_id == ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""


class Restored(msgspec.Struct, frozen=True):
    """The last write past the log. `at_ms` is when it was done, by Redis's clock; `keys` are named if there are few."""

    at_ms: int
    run_id: str
    backup: str
    scope: str
    keys: tuple[str, ...] = ()


class History(NamedTuple):
    """The epoch, and the last write past the log (None: there was none)."""

    epoch: Epoch = Epoch()
    restored: Restored | None = None

    @property
    def mark(self) -> tuple[int, int]:
        """What tells this history from another one: the epoch's number, and when the last write was done (ms)."""
        return self.epoch.number, self.restored.at_ms if self.restored else 0


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
    script: Any = client.eval
    try:
        seconds, microseconds = client.time()
        note = Restored(seconds * 1000 + microseconds // 1000, run_id, backup, scope, named)
        script(_NOTE, 1, restored_key(dataset), msgspec.json.encode(note), run_id)
    except RedisError as error:
        raise StoreUnavailable(f"Redis did not take the note of what was restored to {dataset}: {error}") from error


def _restored_of(held: bytes | None, dataset: str) -> Restored | None:
    if held is None:
        return None
    try:
        return msgspec.json.decode(held, type=Restored)
    except msgspec.DecodeError as error:
        raise StoreUnavailable(f"{restored_key(dataset)} holds {held[:60]!r}, which is no note: {error}") from None
