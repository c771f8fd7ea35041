"""What must not be restored is refused whole, and the error names the rule."""

from __future__ import annotations

import base64
from collections.abc import Callable

import msgspec
import pytest

from instrument_cache.backup.catalog import BackupCatalog
from instrument_cache.backup.entries import Entry
from instrument_cache.backup.manifest import Manifest, good_key, manifest_key
from instrument_cache.backup.reader import BackupReader
from instrument_cache.backup.signing import GOOD, MANIFEST, SigningKeys
from instrument_cache.errors import BackupRefused
from tests.unit.restore.backups import CONTRACT, KEYS, TwoRegions, write_backup


def rule_of(call: Callable[[], object]) -> str:
    with pytest.raises(BackupRefused) as refused:
        call()
    return refused.value.rule


def in_both(regions: TwoRegions, key: str, body: bytes | None) -> None:
    for objects in (regions.first, regions.second):
        if body is None:
            del objects.bodies[key]
        else:
            objects.bodies[key] = body


def reader(regions: TwoRegions, manifest: Manifest) -> BackupReader:
    return BackupReader(regions.catalog.regions[0], manifest)


def flipped(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


@pytest.mark.parametrize("key_of", [manifest_key, good_key])
def test_every_single_altered_byte_of_manifest_and_mark_is_found(
    regions: TwoRegions, catalog: BackupCatalog, manifest: Manifest, key_of: Callable[[str, str], str]
) -> None:
    key = key_of(manifest.dataset, manifest.name)
    body = regions.first.bodies[key]
    for at in range(len(body)):
        in_both(regions, key, flipped(body, at))
        assert rule_of(lambda: catalog.named(manifest.name)) in ("altered", "unsigned"), at
        assert catalog.good() == []


def test_every_single_altered_byte_of_a_shard_is_found_before_an_entry_is_given_out(
    regions: TwoRegions, manifest: Manifest
) -> None:
    shard = manifest.shards[0]
    body = regions.first.bodies[shard.key]
    for at in range(len(body)):
        regions.first.bodies[shard.key] = flipped(body, at)
        assert rule_of(lambda: next(reader(regions, manifest).entries())) == "altered"
        assert rule_of(reader(regions, manifest).check) == "altered"


@pytest.mark.parametrize("length", [0, 1, -1])
def test_a_truncated_shard(regions: TwoRegions, manifest: Manifest, length: int) -> None:
    body = regions.first.bodies[manifest.shards[-1].key]
    regions.first.bodies[manifest.shards[-1].key] = body[:length]
    assert rule_of(reader(regions, manifest).check) == "truncated"


def test_a_lengthened_shard(regions: TwoRegions, manifest: Manifest) -> None:
    regions.first.bodies[manifest.shards[0].key] += b"x"
    assert rule_of(reader(regions, manifest).check) == "altered"


def test_a_missing_shard(regions: TwoRegions, manifest: Manifest) -> None:
    del regions.first.bodies[manifest.shards[1].key]
    assert rule_of(reader(regions, manifest).check) == "missing_shard"


def test_a_shard_in_the_place_of_another(regions: TwoRegions, manifest: Manifest) -> None:
    regions.first.bodies[manifest.shards[0].key] = regions.first.bodies[manifest.shards[1].key]
    assert rule_of(reader(regions, manifest).check) in ("altered", "truncated")


def test_another_dataset(regions: TwoRegions, entries: list[Entry]) -> None:
    """Also where its objects were copied to the names that this dataset looks for."""
    foreign = write_backup(regions.both, entries, dataset="issuers")
    for objects in (regions.first, regions.second):
        for key, body in list(objects.bodies.items()):
            objects.bodies[key.replace("/issuers/", "/instruments/")] = body
    assert rule_of(lambda: regions.catalog.named(foreign.name)) == "foreign_dataset"


@pytest.mark.parametrize(("version", "is_refused"), [("99.0.0", True), ("1.0.0", False), (CONTRACT.version, False)])
def test_a_contract_of_the_future(regions: TwoRegions, entries: list[Entry], version: str, is_refused: bool) -> None:
    made = write_backup(regions.both, entries, contract_version=version)
    if is_refused:
        assert rule_of(lambda: regions.catalog.named(made.name)) == "future_contract"
    else:
        assert regions.catalog.named(made.name) == made


def test_a_format_of_the_future(regions: TwoRegions, manifest: Manifest) -> None:
    document = msgspec.to_builtins(manifest) | {"format": 2, "what_is_new": True}
    key = manifest_key(manifest.dataset, manifest.name)
    in_both(regions, key, KEYS.sign(MANIFEST, msgspec.json.encode(document)))
    assert rule_of(lambda: regions.catalog.named(manifest.name)) == "future_format"


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xfe", b'{"format":1}'])
def test_no_signature(regions: TwoRegions, manifest: Manifest, body: bytes) -> None:
    in_both(regions, manifest_key(manifest.dataset, manifest.name), body)
    assert rule_of(lambda: regions.catalog.named(manifest.name)) == "unsigned"


def test_a_signature_of_somebody_else(regions: TwoRegions, entries: list[Entry]) -> None:
    made = write_backup(regions.both, entries, keys=SigningKeys(b"x" * 32))
    assert rule_of(lambda: regions.catalog.named(made.name)) == "unsigned"
    public_key = SigningKeys(b"x" * 32).public_keys[0]
    theirs = SigningKeys(None, [base64.urlsafe_b64decode(public_key)])
    trusting = BackupCatalog(regions.catalog.regions, "instruments", theirs, CONTRACT)
    assert trusting.named(made.name) == made


def test_a_mark_cannot_stand_for_a_manifest(regions: TwoRegions, manifest: Manifest) -> None:
    body = KEYS.sign(GOOD, msgspec.json.encode(manifest))
    in_both(regions, manifest_key(manifest.dataset, manifest.name), body)
    assert rule_of(lambda: regions.catalog.named(manifest.name)) == "altered"


def test_not_proved(regions: TwoRegions, entries: list[Entry]) -> None:
    made = write_backup(regions.both, entries, good=False)
    assert rule_of(lambda: regions.catalog.named(made.name)) == "not_good"
    assert rule_of(regions.catalog.newest_good) == "unknown"


def test_the_mark_of_another_backup(regions: TwoRegions, entries: list[Entry], manifest: Manifest) -> None:
    made = write_backup(regions.both, entries, run_id="other", good=False)
    mark = regions.first.bodies[good_key(manifest.dataset, manifest.name)]
    in_both(regions, good_key(made.dataset, made.name), mark)
    assert rule_of(lambda: regions.catalog.named(made.name)) == "not_good"


def test_a_manifest_under_another_name(regions: TwoRegions, manifest: Manifest) -> None:
    other = "20200101T000000Z-000000000000"
    in_both(
        regions, manifest_key(manifest.dataset, other), regions.first.bodies[manifest_key("instruments", manifest.name)]
    )
    assert rule_of(lambda: regions.catalog.named(other)) == "altered"


def test_an_unknown_name(catalog: BackupCatalog) -> None:
    assert rule_of(lambda: catalog.named("20200101T000000Z-000000000000")) == "unknown"


def test_a_manifest_that_counts_wrong(regions: TwoRegions, manifest: Manifest) -> None:
    wrong = msgspec.structs.replace(manifest, entries=manifest.entries + 1)
    assert rule_of(reader(regions, wrong).check) == "altered"
