"""A backup from end to end: export, proof, catalog, and what comes back."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
import redis

from instrument_cache.backup.entries import Entry
from instrument_cache.backup.run import run_backup
from instrument_cache.backup.service import Backups, Shrunk
from instrument_cache.errors import BackupRefused
from instrument_cache.settings import Environment
from instrument_cache.store.redis import RedisStore
from tests.integration.backup.filling import VERSION, fill, good_backup, settle, value

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def entries(backups: Backups, name: str) -> dict[str, Entry]:
    return {entry.key: entry for entry in backups.readers(name)[0].entries()}


def test_everything_of_the_dataset_comes_back_and_nothing_else(
    backups: Backups, cache: redis.Redis, moment: datetime
) -> None:
    expected = fill(cache, 1000)
    cache.mset({"issuer:1": value(1), "other": b"x"})
    cache.set("instr:corrupt", b"no value of the store")
    cache.rpush("instr:list", b"x")
    exported = good_backup(backups, "run", moment)

    manifest = backups.catalog.newest_good()
    found = entries(backups, exported.name)
    assert {key: entry.value for key, entry in found.items()} == expected
    assert {key: cache.pexpiretime(key) for key in expected} == {
        key: entry.expires_at_ms or -1 for key, entry in found.items()
    }
    assert (exported.entries, exported.others, exported.missing) == (2100, 2, {})
    assert (manifest.name, manifest.positions, manifest.epoch, manifest.passed_over) == (exported.name, {0: 1100}, 0, 1)
    assert (manifest.first_key, manifest.last_key) == (min(expected), max(expected))
    assert manifest.started <= datetime.fromisoformat(manifest.finished_at) <= moment + timedelta(minutes=1)


def test_both_regions_hold_the_same(backups: Backups, cache: redis.Redis, moment: datetime) -> None:
    fill(cache, 100)
    good_backup(backups, "run", moment)
    first, second = ({key: region.objects.get(key) for key in region.objects.keys("")} for region in backups.regions)
    assert first == second
    assert len(first) == 3


def test_is_offered_only_after_it_was_proved(backups: Backups, cache: redis.Redis, moment: datetime) -> None:
    fill(cache, 10)
    exported = backups.export("run", moment)
    with pytest.raises(BackupRefused, match="not_good"):
        backups.catalog.named(exported.name)
    with pytest.raises(BackupRefused, match="no good backup"):
        backups.catalog.newest_good()
    verified = backups.verify(exported.name)
    assert (verified.compared, verified.regions) == (21, ["first", "second"])
    assert backups.mark_good(verified) == ["first", "second"]
    assert backups.catalog.named(exported.name).entries == 21


def test_a_run_has_one_backup(backups: Backups, cache: redis.Redis, moment: datetime) -> None:
    fill(cache, 10)
    first = backups.export("run", moment)
    fill(cache, 20)
    again = backups.export("run", moment)
    assert (again.name, again.entries, again.made) == (first.name, first.entries, False)
    assert backups.export("other", moment).name != first.name


def test_replay_from_the_fence_converges_under_live_traffic(
    backups: Backups, cache: redis.Redis, moment: datetime
) -> None:
    """Each entry is a state between the fences, so the log from the first one brings all of them up to date."""
    fill(cache, 3000)
    log: list[dict[str, bytes]] = []
    done = threading.Event()
    store = RedisStore(cache, "instruments")

    def write() -> None:
        while not done.is_set():
            changes = {
                f"instr:{n:09d}": value(n, VERSION + 10**9 * (len(log) + 1)) for n in range(len(log) % 7, 3400, 7)
            }
            store.offer(changes)
            log.append(changes)
            settle(cache, "instruments", 0, len(log))

    settle(cache, "instruments", 0, 0)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        exported = good_backup(backups, "run", moment)
    finally:
        done.set()
        writer.join()
    manifest = backups.catalog.named(exported.name)
    state = {key: entry.value for key, entry in entries(backups, exported.name).items()}
    for changes in log[manifest.positions[0] :]:
        for key, new in changes.items():
            state[key] = max(state.get(key, b""), new)
    assert log[manifest.positions[0] :], "traffic went on"
    assert state == dict(store.scan("instr")) | dict(store.scan("pme"))


def test_an_empty_or_shrunken_cache_pushes_no_good_backup_out(
    backups: Backups, cache: redis.Redis, moment: datetime
) -> None:
    empty = backups.verify(backups.export("empty", moment - timedelta(minutes=2)).name)
    with pytest.raises(Shrunk, match="holds 0 entries"):
        backups.mark_good(empty)
    fill(cache, 1000)
    good_backup(backups, "full", moment - timedelta(minutes=1))
    cache.flushall()
    fill(cache, 600)
    shrunken = backups.verify(backups.export("shrunken", moment).name)
    with pytest.raises(Shrunk, match="1260 entries, the last good backup 2100"):
        backups.mark_good(shrunken)
    assert backups.mark_good(shrunken, accept_smaller=True) == ["first", "second"]


def test_encrypted_backups_need_the_key(env: Environment, cache: redis.Redis, moment: datetime) -> None:
    expected = fill(cache, 100)
    encrypting = Backups(Environment({**env.variables, "ICACHE_BACKUP_ENCRYPTION_KEY": KEY}))
    exported = good_backup(encrypting, "run", moment)
    assert {key: entry.value for key, entry in entries(encrypting, exported.name).items()} == expected
    with pytest.raises(BackupRefused, match="wrong_key"):
        Backups(env).readers(exported.name)[0].check()
    assert encrypting.catalog.newest_good().snapshot is None


def test_a_whole_run_says_what_it_did(backups: Backups, cache: redis.Redis, moment: datetime) -> None:
    fill(cache, 100)
    told: dict[str, tuple[int, int]] = {}
    report = run_backup(backups, "run", moment, progress=lambda what, done, total: told.update({what: (done, total)}))
    assert report.ok, report.sentence
    assert "210 entries, restored, compared, and good in first and second" in report.sentence
    assert (report.numbers["entries"], report.numbers["compared"], report.numbers["regions"]) == (210, 210, 2)
    assert told["write"] == (1, 1)
    assert told["compare"] == (210, 210)
    assert [row["state"] for row in backups.listing()] == ["good"]
