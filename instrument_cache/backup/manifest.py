"""What a backup is: its manifest, the mark that makes it good, and the names of its objects.

    backups/{dataset}/manifests/{name}.json              written last: without it there is no backup
    backups/{dataset}/good/{name}.json                   written after it was restored and compared
    backups/{dataset}/data/{name}/{shard}-{digest}.bin   the shards, and `redis-{digest}.rdb`

A name begins with its time, so that names sort by age: `20251121T181500Z-3f9c2a1b7d04`.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Final

import msgspec

# Raised when an older reader could not read what is written now.
FORMAT: Final = 1
NAME: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{12}")
_NAME_TIME: Final = "%Y%m%dT%H%M%SZ"


class Shard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One object of entries: `sha256` and `bytes` as it is stored; `first` and `last`: its least and greatest key."""

    key: str
    entries: int
    bytes: int
    sha256: str
    first: str
    last: str


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Redis's own snapshot beside the shards, from which a plain Redis starts."""

    key: str
    bytes: int
    sha256: str


class Encryption(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the objects are encrypted, and a digest of the key that opens them."""

    algorithm: str
    key_id: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about one backup. Times are Redis's own, UTC, ISO.

    `positions`: partition → the next offset that was not yet applied when the scan began. Each entry is a state that
    its key had between `started_at` and `finished_at`; replaying the log from `positions` brings all up to date.
    """

    format: int
    name: str
    dataset: str
    contract_version: str
    started_at: str
    finished_at: str
    entries: int
    shards: tuple[Shard, ...]
    positions: dict[int, int]
    epoch: int
    encryption: Encryption | None
    snapshot: Snapshot | None
    passed_over: int

    @property
    def started(self) -> datetime:
        """When the scan began."""
        return datetime.fromisoformat(self.started_at)

    @property
    def bytes(self) -> int:
        """Of all its data objects."""
        return sum(shard.bytes for shard in self.shards) + (self.snapshot.bytes if self.snapshot else 0)

    @property
    def first_key(self) -> str:
        """The least key; empty if it holds none."""
        return min((shard.first for shard in self.shards if shard.entries), default="")

    @property
    def last_key(self) -> str:
        """The greatest key; empty if it holds none."""
        return max((shard.last for shard in self.shards if shard.entries), default="")


class Good(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Says that the backup with exactly this manifest was restored into a scratch Redis and compared key by key."""

    name: str
    dataset: str
    manifest_sha256: str
    verified_at: str
    compared: int


def digest(body: bytes) -> str:
    """SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


def backup_name(run_id: str, moment: datetime) -> str:
    """The name of a run's backup. The same run always has the same, so that a second try is no second backup."""
    return f"{moment.astimezone(UTC).strftime(_NAME_TIME)}-{digest(run_id.encode())[:12]}"


def name_time(name: str) -> datetime:
    """The time in a name."""
    return datetime.strptime(name.partition("-")[0], _NAME_TIME).replace(tzinfo=UTC)


def prefix(dataset: str) -> str:
    """Where all backups of a dataset lie."""
    return f"backups/{dataset}/"


def manifest_key(dataset: str, name: str) -> str:
    """The name of the manifest's object."""
    return f"{prefix(dataset)}manifests/{name}.json"


def good_key(dataset: str, name: str) -> str:
    """The name of the object that marks the backup as good."""
    return f"{prefix(dataset)}good/{name}.json"


def data_prefix(dataset: str, name: str) -> str:
    """Where its data objects lie."""
    return f"{prefix(dataset)}data/{name}/"


def name_in(key: str) -> str | None:
    """The backup that an object belongs to; None for what no backup wrote."""
    found = NAME.search(key)
    return found[0] if found else None
