"""A backup brought back into a real Redis, and what the log holds since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from instrument_cache.backup.manifest import Manifest
from instrument_cache.backup.signing import SigningKeys
from instrument_cache.change import is_tombstone, version_of
from instrument_cache.epoch import read_epoch
from instrument_cache.errors import BackupRefused
from instrument_cache.history import read_history
from instrument_cache.operation_lock import OperationRunning, operation_lock
from instrument_cache.restore.counts import Counts
from instrument_cache.restore.service import Restores
from instrument_cache.settings import Environment
from local_stack.synthetic import synthetic_cusip
from tests.integration.restore.world import V, World
from tests.servers import free_port
from tests.unit.restore.backups import KEYS, instrument, write_backup


def test_an_empty_redis_is_restored_and_catches_up_to_the_same_bytes(world: World) -> None:
    world.put(range(3000))
    world.delete(range(100), V + 1)
    world.apply()
    world.backup()
    world.put(range(200, 400), V + 5)
    world.delete(range(400, 450), V + 5)
    world.put(range(3000, 3100))
    world.put(range(450, 460), V + 6, pme="RENAMED")
    world.apply()
    expected = world.dump()
    world.client.flushall()

    plan = world.plan()
    assert world.dump() == {}
    done = world.restores.restore(plan)
    assert (done.read, done.applied) == (6000, 6000)
    assert plan.counts == done
    caught_up = world.restores.catch_up(plan)
    assert caught_up.lost == ()
    assert caught_up.counts.read == 360
    assert world.dump() == expected
    assert world.store.accounts() == {}  # the stream's own
    note = read_history(world.client, world.dataset).restored
    assert note is not None
    assert (note.run_id, note.scope) == ("restore-1", "all keys")

    report = world.restores.publish(plan, done, caught_up, "")
    assert report.numbers["applied"] == 6000


def test_a_live_redis_keeps_what_is_newer(world: World) -> None:
    world.put(range(100))
    world.apply()
    world.backup()
    world.put(range(10), V + 5)
    world.delete(range(10, 20), V + 5)
    world.apply()
    world.client.delete(*(f"instr:{synthetic_cusip(number)}" for number in range(50, 60)))
    before = world.dump()
    plan = world.plan()
    # The alias of a deleted instrument stands there as it stood.
    assert plan.counts == Counts(read=200, applied=10, duplicate=160, stale=30)
    assert world.dump() == before
    assert world.restores.restore(plan) == plan.counts
    after = world.dump()
    assert {key: after[key] for key in before} == before
    assert {key for key in after if key not in before} == {
        f"instr:{synthetic_cusip(number)}".encode() for number in range(50, 60)
    }
    assert world.restores.restore(plan).applied == 0


def test_named_keys_and_a_range_bring_their_aliases(world: World) -> None:
    world.put(range(50))
    world.apply()
    everything = world.dump()
    world.backup()
    world.client.flushall()
    plan = world.plan(keys=(synthetic_cusip(7).lower(),))
    world.restores.restore(plan)
    assert world.restores.catch_up(plan).counts.applied == 0
    assert set(world.dump()) == {f"instr:{synthetic_cusip(7)}".encode(), b"pme:P7"}
    keys = sorted(synthetic_cusip(number) for number in range(50))
    world.restores.restore(world.plan("restore-2", first=keys[10], last=keys[19]))
    assert {key for key in world.dump() if key.startswith(b"instr")} >= {f"instr:{key}".encode() for key in keys[10:20]}
    world.restores.restore(world.plan("restore-3"))
    assert world.dump() == everything


def test_as_of_a_time_before_the_newest(world: World) -> None:
    world.put(range(5))
    world.apply()
    first = world.backup("one")
    between = datetime.now(UTC).isoformat()
    world.put(range(5), V + 5)
    world.apply()
    second = world.backup("two")
    assert world.plan().backup == second
    assert world.plan(as_of=between).backup == first
    assert world.plan(backup=first).backup == first


def test_what_has_expired_since_is_not_brought_back(world: World) -> None:
    places = [region.objects for region in world.restores.regions]
    now_ms = world.client.time()[0] * 1000
    entries = [instrument(0, V, now_ms - 1), instrument(1, V, now_ms + 3_600_000)]
    write_backup(places, entries, dataset=world.dataset)
    done = world.restores.restore(world.plan())
    assert done == Counts(read=2, applied=1, expired=1)
    assert world.client.pexpiretime(entries[1].key) == now_ms + 3_600_000


def test_the_other_region_serves_while_one_is_away(world: World, env: Environment) -> None:
    world.put(range(20))
    world.apply()
    expected = world.dump()
    world.backup()
    world.client.flushall()
    away = {**env.variables, "ICACHE_S3_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    world.restores = Restores(Environment(away), give_up_s=5)
    plan = world.plan(region="first")
    assert plan.region == "second"
    assert "the first region was asked for" in plan.warnings[0]
    world.restores.restore(plan)
    assert world.dump() == expected


def _alter(change: Callable[[bytes], bytes]) -> Callable[[World, Manifest], None]:
    def alter(world: World, manifest: Manifest) -> None:
        key = max(manifest.shards, key=lambda shard: shard.entries).key
        for region in world.restores.regions:
            body = region.objects.get(key)
            region.objects.erase(key)
            assert region.objects.put_once(key, change(body))

    return alter


def _drop(world: World, manifest: Manifest) -> None:
    for region in world.restores.regions:
        region.objects.erase(manifest.shards[-1].key)


ALTERED = {
    "altered": _alter(lambda body: body[:-1] + bytes([body[-1] ^ 1])),
    "truncated": _alter(lambda body: body[:-1]),
    "missing_shard": _drop,
}
WRITTEN_SO = {
    "unsigned": {"keys": SigningKeys(bytes(32))},
    "future_contract": {"contract_version": "99.0.0"},
    "not_good": {"good": False},
}


@pytest.mark.parametrize("rule", [*ALTERED, *WRITTEN_SO, "foreign_dataset"])
@pytest.mark.parametrize("mode", ["restore", "roll back to"])
def test_a_backup_that_is_refused_leaves_all_byte_for_byte(world: World, rule: str, mode: str) -> None:
    world.put(range(20), V + 9)
    world.apply()
    world.client.set("session:1", "of another program")
    places = [region.objects for region in world.restores.regions]
    entries = [instrument(number, V) for number in range(40)]
    given = {"keys": KEYS, **WRITTEN_SO.get(rule, {})}
    dataset = "others" if rule == "foreign_dataset" else world.dataset
    manifest = write_backup(places, entries, dataset=dataset, **given)  # type: ignore[arg-type]
    if rule == "foreign_dataset":
        for place in places:
            for key in list(place.keys("backups/others/")):
                place.put_once(key.replace("/others/", f"/{world.dataset}/"), place.get(key))
    if rule in ALTERED:  # after it was approved
        plan = world.plan(mode=mode, reason="test")
        ALTERED[rule](world, manifest)
    before = world.everything()
    with pytest.raises(BackupRefused) as refused:
        world.plan(mode=mode, reason="test", backup=manifest.name)
    assert refused.value.rule == rule
    if rule in ALTERED:
        with pytest.raises(BackupRefused):
            world.restores.restore(plan)
    assert world.everything() == before


def test_a_roll_back_is_an_epoch(world: World) -> None:
    world.put(range(40))
    world.apply()
    good = world.dump()
    world.backup()
    world.put(range(10), V + 5)
    world.delete(range(10, 15), V + 5)
    world.put(range(40, 45), V + 5)
    world.apply()
    world.client.set("session:1", "of another program")
    plan = world.plan(mode="roll back to", reason="a bad load")
    assert plan.counts == Counts(read=80, duplicate=55, replaced=25, removed=10)
    assert read_epoch(world.client, world.dataset).number == 0

    assert world.restores.restore(plan) == plan.counts
    after = world.dump()
    assert {key: after[key] for key in good} == good
    new = {key: value for key, value in after.items() if key not in good}
    assert all(is_tombstone(stored) and version_of(stored) == V + 5 for stored, _ in new.values())
    assert len(new) == 5
    assert world.client.get("session:1") == b"of another program"
    epoch = read_epoch(world.client, world.dataset)
    assert (epoch.number, epoch.pinned, epoch.backup, epoch.by, epoch.reason) == (
        1,
        True,
        plan.backup,
        "test",
        "a bad load",
    )

    assert world.restores.catch_up(plan).counts == Counts()
    assert world.dump() == after
    history = read_history(world.client, world.dataset)
    assert history.restored is not None
    world.restores.restore(plan)  # the same run again
    world.restores.catch_up(plan)
    assert read_history(world.client, world.dataset) == history
    assert world.dump() == after

    world.put([0], V + 7)  # the source goes on
    world.apply()
    stored = world.stored(0)
    assert stored is not None
    assert version_of(stored) == V + 7


def test_an_emptied_redis_stands_in_the_epoch_of_its_backup(world: World) -> None:
    places = [region.objects for region in world.restores.regions]
    write_backup(places, [instrument(0, V)], dataset=world.dataset, epoch=3)
    world.restores.restore(world.plan())
    epoch = read_epoch(world.client, world.dataset)
    assert (epoch.number, epoch.pinned) == (3, False)


def test_two_runs_do_not_write_at_once(world: World) -> None:
    world.put(range(5))
    world.apply()
    world.backup()
    plan = world.plan()
    with (
        operation_lock(world.client, world.dataset, "write", "reconcile-7"),
        pytest.raises(OperationRunning, match="'reconcile-7' holds the lock 'write'"),
    ):
        world.restores.restore(plan)
