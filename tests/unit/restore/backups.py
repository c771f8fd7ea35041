"""Backups made by hand, in regions that are dictionaries."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from instrument_cache.backup.catalog import BackupCatalog
from instrument_cache.backup.entries import Entry, pack, shard_of
from instrument_cache.backup.manifest import (
    FORMAT,
    Good,
    Manifest,
    Shard,
    backup_name,
    data_prefix,
    digest,
    good_key,
    manifest_key,
)
from instrument_cache.backup.region import Region
from instrument_cache.backup.signing import GOOD, MANIFEST, SigningKeys
from instrument_cache.contract import Contract, load_contract
from instrument_cache.objects import ObjectStore
from instrument_cache.objects_memory import MemoryObjects
from local_stack.instance import PROJECT

CONTRACT: Contract = load_contract(PROJECT / "contracts" / "instruments.yaml")
RAW_KEY = bytes(range(32))
KEYS = SigningKeys(RAW_KEY)
SIGNING_KEY = base64.b64encode(RAW_KEY).decode()
SHARDS = 4


def cusip(number: int) -> str:
    """A valid CUSIP."""
    from local_stack.synthetic import synthetic_cusip

    return synthetic_cusip(number)


def value(number: int, version: int, pme: str = "") -> bytes:
    """The stored bytes of an instrument."""
    tail = b',"pme":"%b"' % pme.encode() if pme else b""
    return b'{"v":%d,"cusip":"%b"%b,"name":"state %d"}' % (version, cusip(number).encode(), tail, version)


def hint(number: int, version: int) -> bytes:
    """The stored bytes of an alias."""
    return b'{"v":%d,"cusip":"%b"}' % (version, cusip(number).encode())


def instrument(number: int, version: int, expires_at_ms: int = 0) -> Entry:
    return Entry(f"instr:{cusip(number)}", value(number, version), expires_at_ms)


def write_backup(
    objects: Sequence[ObjectStore],
    entries: Sequence[Entry],
    *,
    run_id: str = "run",
    dataset: str = "instruments",
    contract_version: str = CONTRACT.version,
    keys: SigningKeys = KEYS,
    at: datetime | None = None,
    positions: dict[int, int] | None = None,
    epoch: int = 0,
    good: bool = True,
) -> Manifest:
    """A backup that lies in each of `objects`, as the product writes it."""
    at = at or datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    name = backup_name(run_id, at)
    shards: list[Shard] = []
    for index in range(SHARDS):
        own = sorted((e for e in entries if shard_of(e.key.encode(), SHARDS) == index), key=lambda entry: entry.key)
        body = pack(own)
        key = f"{data_prefix(dataset, name)}{index:04d}-{digest(body)[:16]}.bin"
        first, last = (own[0].key, own[-1].key) if own else ("", "")
        shards.append(Shard(key=key, entries=len(own), bytes=len(body), sha256=digest(body), first=first, last=last))
        for place in objects:
            place.put_once(key, body)
    manifest = Manifest(
        format=FORMAT,
        name=name,
        dataset=dataset,
        contract_version=contract_version,
        started_at=at.isoformat(),
        finished_at=at.isoformat(),
        entries=len(entries),
        shards=tuple(shards),
        positions=positions or {},
        epoch=epoch,
        encryption=None,
        snapshot=None,
        passed_over=0,
    )
    _write_signed(objects, manifest, keys, len(entries) if good else None)
    return manifest


def _write_signed(objects: Sequence[ObjectStore], manifest: Manifest, keys: SigningKeys, compared: int | None) -> None:
    body = keys.sign(MANIFEST, msgspec.json.encode(manifest))
    for place in objects:
        place.put_once(manifest_key(manifest.dataset, manifest.name), body)
    if compared is None:
        return
    mark = Good(
        name=manifest.name,
        dataset=manifest.dataset,
        manifest_sha256=digest(body),
        verified_at=manifest.finished_at,
        compared=compared,
    )
    for place in objects:
        place.put_once(good_key(manifest.dataset, manifest.name), keys.sign(GOOD, msgspec.json.encode(mark)))


class TwoRegions:
    """Both regions in memory, and the catalog over them."""

    def __init__(self) -> None:
        self.first, self.second = MemoryObjects("first"), MemoryObjects("second")
        places = [Region("first", self.first), Region("second", self.second)]
        self.catalog = BackupCatalog(places, "instruments", KEYS, CONTRACT)

    @property
    def both(self) -> list[ObjectStore]:
        return [self.first, self.second]
