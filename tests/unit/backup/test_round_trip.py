"""From a Redis of a moment into regions in memory and through the proof: the whole way, in a second."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from instrument_cache.backup import spool as spool_module
from instrument_cache.backup.export import Export, ExportOptions
from instrument_cache.backup.manifest import backup_name
from instrument_cache.backup.reader import BackupReader
from instrument_cache.backup.verify import BackupDiffers, _Verifier, verify
from instrument_cache.scratch.redis import ScratchRedis, scratch_redis
from tests.unit.restore.backups import CONTRACT, TwoRegions

NOW = datetime.now(UTC)
LATER_MS = time.time_ns() // 1_000_000 + 3_600_000


@pytest.fixture(scope="module")
def server() -> Iterator[ScratchRedis]:
    with scratch_redis() as scratch:
        yield scratch


def filled(server: ScratchRedis, count: int, seed: int) -> dict[str, tuple[bytes, int]]:
    """Entries of many lengths, some of which end; returns (value, expiry or 0) by key."""
    chance = random.Random(seed)
    held = {}
    for number in range(count):
        name = "x" * chance.choice((0, 1, 30, 3000))
        stored = b'{"v":%016d,"cusip":"%09d","name":"%b"}' % (10**15 + number, number, name.encode())
        held[f"{chance.choice(('instr', 'pme'))}:{number:09d}"] = (stored, chance.choice((0, 0, LATER_MS + number)))
    pipeline = server.client().pipeline(transaction=False)
    pipeline.flushall()
    for key, (stored, expires_at_ms) in held.items():
        pipeline.set(key, stored, pxat=expires_at_ms or None)
    pipeline.execute()
    return held


def exported(server: ScratchRedis, regions: TwoRegions, run_id: str) -> list[BackupReader]:
    export = Export(server.client(), CONTRACT, regions.catalog, None, ExportOptions(0, "GOVERNANCE", False))
    name = export.run(backup_name(run_id, NOW)).name
    return [BackupReader(region, regions.catalog.manifest(region, name)) for region in regions.catalog.regions]


@pytest.mark.parametrize("count", [0, 1, 249, 250, 251, 3000])
def test_what_went_in_comes_out(
    server: ScratchRedis, regions: TwoRegions, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "SHARD_ENTRIES", 64)
    held = filled(server, count, seed=count)
    copies = exported(server, regions, "run")
    assert {entry.key: (entry.value, entry.expires_at_ms) for entry in copies[0].entries()} == held
    assert regions.first.bodies == regions.second.bodies
    proof = verify(copies)
    assert (proof.compared, proof.expired, proof.regions) == (count, 0, ["first", "second"])


@pytest.mark.parametrize("change", ["value", "expiry", "gone", "more"])
def test_the_proof_sees_every_kind_of_difference(
    server: ScratchRedis, regions: TwoRegions, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = filled(server, 300, seed=1)
    copies = exported(server, regions, "run")
    key, (stored, expires_at_ms) = sorted(held.items())[123]
    restore = _Verifier.restore

    def and_change(self: Any, *arguments: Any) -> None:
        restore(self, *arguments)
        if change == "value":
            self._client.set(key, stored[:-3] + b'y"}', pxat=expires_at_ms or None)
        elif change == "expiry":
            self._client.pexpireat(key, LATER_MS + 9_999_999)
        elif change == "gone":
            self._client.delete(key)
        else:
            self._client.set("instr:more", stored)

    monkeypatch.setattr(_Verifier, "restore", and_change)
    with pytest.raises(BackupDiffers, match="301 are there" if change == "more" else f"'{key}' was"):
        verify(copies)
