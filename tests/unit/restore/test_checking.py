"""Which copy is used, and that one which breaks a rule is refused before anything is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instrument_cache.backup.manifest import Manifest, good_key
from instrument_cache.backup.reader import BackupReader
from instrument_cache.backup.signing import SigningKeys
from instrument_cache.errors import BackupRefused, ObjectStoreUnavailable, RestoreRefused
from instrument_cache.restore.checking import check_region, checked_reader, chosen
from instrument_cache.restore.request import restore_request
from instrument_cache.restore.scope import KeyFilter, Scope
from tests.unit.restore.backups import CONTRACT, Entry, TwoRegions, instrument, write_backup

V = 1_763_674_000_000_000
ENTRIES = [instrument(number, V) for number in range(20)]
WANTED = KeyFilter(CONTRACT, Scope())


@pytest.fixture
def world() -> TwoRegions:
    return TwoRegions()


def checked(world: TwoRegions, manifest: Manifest, region: str = "any") -> BackupReader:
    return checked_reader(world.catalog, manifest.name, region, None, WANTED)


def alter(world: TwoRegions, manifest: Manifest, *, cut: int = 0) -> None:
    """Change a byte of a shard in the first region, or take some away."""
    key = next(shard.key for shard in manifest.shards if shard.entries)
    body = world.first.bodies[key]
    world.first.bodies[key] = body[:-cut] if cut else body[:-1] + bytes([body[-1] ^ 1])


def test_the_newest_a_named_and_one_of_a_time(world: TwoRegions) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    old, new = (
        write_backup(world.both, ENTRIES, run_id=f"r{hours}", at=now - timedelta(hours=hours)) for hours in (5, 1)
    )

    def of(**given: str) -> str:
        return chosen(world.catalog, restore_request(CONTRACT, run_id="r", by="me", **given)).name  # type: ignore[arg-type]

    assert of() == new.name
    assert of(backup=old.name) == old.name
    assert of(as_of=(now - timedelta(hours=2)).isoformat()) == old.name
    with pytest.raises(BackupRefused, match="no good backup was finished by"):
        of(as_of=(now - timedelta(hours=9)).isoformat())


def test_the_region_that_is_asked_for_comes_first(world: TwoRegions) -> None:
    manifest = write_backup(world.both, ENTRIES)
    assert [checked(world, manifest, region).region.name for region in ("any", "first", "second")] == [
        "first",
        "first",
        "second",
    ]


def test_the_other_region_serves_while_one_is_away(world: TwoRegions) -> None:
    manifest = write_backup(world.both, ENTRIES)
    world.first.away = True
    assert checked(world, manifest, "first").region.name == "second"
    world.second.away = True
    with pytest.raises(ObjectStoreUnavailable):
        checked(world, manifest)


@pytest.mark.parametrize("cut", [0, 1, 20])
def test_the_other_copy_serves_if_one_was_altered(world: TwoRegions, cut: int) -> None:
    manifest = write_backup(world.both, ENTRIES)
    alter(world, manifest, cut=cut)
    assert checked(world, manifest).region.name == "second"


@pytest.mark.parametrize(("cut", "rule"), [(0, "altered"), (1, "truncated")])
def test_a_backup_without_a_whole_copy_is_refused(world: TwoRegions, cut: int, rule: str) -> None:
    manifest = write_backup([world.first], ENTRIES)
    alter(world, manifest, cut=cut)
    with pytest.raises(BackupRefused) as refused:
        checked(world, manifest)
    assert refused.value.rule == rule


def test_a_missing_shard_is_refused(world: TwoRegions) -> None:
    manifest = write_backup([world.first], ENTRIES)
    del world.first.bodies[manifest.shards[-1].key]
    with pytest.raises(BackupRefused) as refused:
        checked(world, manifest)
    assert refused.value.rule == "missing_shard"


def test_backups_of_others_of_later_contracts_and_unverified_ones_are_refused(world: TwoRegions) -> None:
    others = {
        "unsigned": write_backup([world.first], ENTRIES, run_id="1", keys=SigningKeys(bytes(32))),
        "future_contract": write_backup([world.first], ENTRIES, run_id="2", contract_version="99.0.0"),
        "not_good": write_backup([world.first], ENTRIES, run_id="3", good=False),
        "unknown": write_backup([world.first], ENTRIES, run_id="4", dataset="others"),
    }
    for rule, manifest in others.items():
        with pytest.raises(BackupRefused) as refused:
            checked(world, manifest)
        assert refused.value.rule == rule


def test_a_manifest_of_another_dataset_under_our_name_is_refused(world: TwoRegions) -> None:
    manifest = write_backup([world.first], ENTRIES, dataset="others")
    for key in list(world.first.bodies):
        world.first.bodies[key.replace("/others/", "/instruments/")] = world.first.bodies[key]
    with pytest.raises(BackupRefused) as refused:
        checked(world, manifest)
    assert refused.value.rule == "foreign_dataset"
    assert good_key("instruments", manifest.name) in world.first.bodies


def test_a_key_that_is_none_of_the_dataset_is_refused(world: TwoRegions) -> None:
    manifest = write_backup(world.both, [*ENTRIES, Entry("session:1", b"x" * 30, 0)])
    with pytest.raises(RestoreRefused, match="session:1"):
        checked(world, manifest)


def test_a_region_must_be_one_that_is_set() -> None:
    check_region("any", ["first"])
    check_region("first", ["first"])
    with pytest.raises(RestoreRefused, match="must be any or one of first"):
        check_region("second", ["first"])
