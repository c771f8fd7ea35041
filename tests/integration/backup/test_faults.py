"""What goes wrong around a backup: regions, Redis, clocks, disks, and a process that ends at any line."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from instrument_cache.backup import verify as verify_module
from instrument_cache.backup.region import Region
from instrument_cache.backup.run import run_backup
from instrument_cache.backup.service import Backups
from instrument_cache.backup.spool import Spool
from instrument_cache.errors import BackupRefused, ObjectStoreUnavailable, ScratchUnavailable, StoreUnavailable
from instrument_cache.objects import ObjectStore
from instrument_cache.operation_lock import OperationRunning, operation_lock
from instrument_cache.reports import newest
from instrument_cache.settings import Environment
from tests.integration.backup.filling import VERSION, fill, good_backup, value
from tests.integration.lookup_app.sentinels import Sentinels
from tests.servers import free_port


def with_settings(env: Environment, **settings: str) -> Backups:
    return Backups(Environment({**env.variables, **settings}))


def contents(region: Region) -> dict[str, bytes]:
    return {key: region.objects.get(key) for key in region.objects.keys("")}


BROKEN = [
    {"ICACHE_S3_SECOND_ENDPOINT": f"http://127.0.0.1:{free_port()}"},
    {"ICACHE_S3_SECOND_SECRET_KEY": "wrong"},
]


@pytest.mark.parametrize("broken", BROKEN, ids=["away", "no permission"])
def test_one_region_keeps_the_backup_and_the_next_run_fills_the_other(
    env: Environment, cache: redis.Redis, moment: datetime, broken: dict[str, str]
) -> None:
    fill(cache, 100)
    half, whole = with_settings(env, **broken), Backups(env)
    report = run_backup(half, "half", moment)
    assert not report.ok
    assert report.sentence.startswith("the second region lacks it: S3 (")
    assert half.catalog.newest_good().entries == 210
    told = newest(cache, "instruments", "backup")
    assert told is not None
    assert (told.ok, told.numbers["regions"]) == (False, 1)

    assert whole.lacking().copied == {"second": [whole.catalog.newest_good().name]}
    report = run_backup(whole, "whole", moment + timedelta(seconds=1))
    assert report.ok, report.sentence
    assert len(whole.catalog.good()) == 2
    first, second = map(contents, whole.regions)
    assert first == second


def test_the_own_region_may_be_the_one_that_is_away(env: Environment, cache: redis.Redis, moment: datetime) -> None:
    fill(cache, 10)
    half = with_settings(env, ICACHE_S3_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    report = run_backup(half, "half", moment)
    assert report.sentence.startswith("the first region lacks it: S3 (")
    assert Backups(env).catalog.newest_good().entries == 21


def test_a_region_that_hangs_is_left_out(
    env: Environment, cache: redis.Redis, moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(cache, 10)
    monkeypatch.setattr("instrument_cache.backup.region._SILENCE_S", 0.3)
    monkeypatch.setattr("instrument_cache.backup.region._TRIES", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        report = run_backup(with_settings(env, ICACHE_S3_SECOND_ENDPOINT=address), "run", moment)
    assert report.sentence.startswith("the second region lacks it: S3 (")
    assert Backups(env).catalog.newest_good().entries == 21


def test_without_any_region_there_is_no_backup(env: Environment, cache: redis.Redis, moment: datetime) -> None:
    fill(cache, 10)
    away = f"http://127.0.0.1:{free_port()}"
    none = with_settings(env, ICACHE_S3_ENDPOINT=away, ICACHE_S3_SECOND_ENDPOINT=away)
    with pytest.raises(ObjectStoreUnavailable, match="no region takes the backup"):
        none.export("none", moment)


class Killed(BaseException):
    """As if the process ended here."""


class Dying(ObjectStore):
    """Ends the process at its write number `left`."""

    left = 0

    def put_once(self, *arguments: Any, **options: Any) -> bool:
        if Dying.left == 0:
            raise Killed
        Dying.left -= 1
        return super().put_once(*arguments, **options)


def test_killed_at_any_write_and_tried_again_it_ends_the_same(
    env: Environment, cache: redis.Redis, moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fill(cache, 40)
    monkeypatch.setattr("instrument_cache.backup.region.ObjectStore", Dying)
    for left in range(6):
        Dying.left = left
        with pytest.raises(Killed):
            good_backup(Backups(env), f"run {left}", moment)
        Dying.left = 1000
        exported = good_backup(Backups(env), f"run {left}", moment)
        backups = Backups(env)
        found = {entry.key: entry.value for entry in backups.readers(exported.name)[0].entries()}
        assert (found, len(backups.catalog.copies(exported.name))) == (expected, 2) or backups.copy("x").copied, left
    Dying.left = 1000
    backups = Backups(env)
    backups.copy("level")
    assert len(backups.catalog.good()) == 6
    assert all(len(backups.catalog.copies(name)) == 2 for name in backups.catalog.good_names())


def test_a_scan_that_is_cut_begins_again_and_mixes_nothing(
    backups: Backups, cache: redis.Redis, moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(cache, 2000)
    cuts = iter([3, 1])

    def cut() -> None:
        for number in range(0, 2000, 2):
            cache.delete(f"instr:{number:09d}")
        cache.client_kill_filter(_type="normal", skipme=True)

    _on_page(monkeypatch, cuts, cut)
    exported = good_backup(backups, "run", moment)
    found = {entry.key for entry in backups.readers(exported.name)[0].entries()}
    assert found == {key.decode() for key in cache.scan_iter("instr:*")} | {
        key.decode() for key in cache.scan_iter("pme:*")
    }


def _on_page(monkeypatch: pytest.MonkeyPatch, pages: Iterator[int], act: Callable[[], None]) -> None:
    """Act at these pages of the scan, counted from its begin or from the last time."""
    whole, left = Spool.add, [next(pages)]

    def add(self: Spool, page: bytes) -> None:
        left[0] -= 1
        if left[0] == 0:
            act()
            left[0] = next(pages, -1)
        whole(self, page)

    monkeypatch.setattr(Spool, "add", add)


def test_redis_fails_over_during_the_scan(
    env: Environment, moment: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sentinels(tmp_path) as sentinels:
        expected = fill(sentinels.master.admin, 3000)
        sentinels.wait_for_replica()
        _on_page(monkeypatch, iter([3]), sentinels.master.kill)
        backups = with_settings(env, ICACHE_REDIS_URL=sentinels.url)
        exported = good_backup(backups, "run", moment)
        found = {entry.key: entry.value for entry in backups.readers(exported.name)[0].entries()}
        assert found == expected


def test_redis_away_is_said_so(env: Environment, moment: datetime) -> None:
    with pytest.raises(StoreUnavailable):
        with_settings(env, ICACHE_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0").export("run", moment)


def test_a_scratch_redis_that_is_full_is_said_so(
    backups: Backups, cache: redis.Redis, moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(cache, 3000)
    exported = backups.export("run", moment)
    monkeypatch.setattr(verify_module, "_MEMORY_BYTES_MAX", 1_200_000)
    with pytest.raises(ScratchUnavailable, match="the scratch Redis did not take the backup"):
        backups.verify(exported.name)


def test_a_damaged_copy_is_left_out_and_mended(backups: Backups, cache: redis.Redis, moment: datetime) -> None:
    fill(cache, 100)
    exported = backups.export("run", moment)
    second = backups.regions[1].objects
    shard = next(key for key in second.keys("") if "/data/" in key)
    second.put_over(shard, second.get(shard)[:-1] + b"x")
    assert backups.verify(exported.name).regions == ["first"]
    assert backups.mark_good(backups.verify(exported.name)) == ["first"]
    assert backups.copy("x").copied == {"second": [exported.name]}
    assert second.get(shard) == backups.regions[0].objects.get(shard)
    assert backups.verify(exported.name).regions == ["first", "second"]


def test_a_copy_that_restores_to_something_else_never_becomes_good(
    backups: Backups, cache: redis.Redis, moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof is a restore, and no look at digests alone."""
    fill(cache, 10)
    exported = backups.export("run", moment)
    whole = verify_module._Verifier.restore

    def restore(self: Any, copy: Any, group: Any) -> None:
        whole(self, copy, group)
        self._client.set("instr:000000003", value(3, VERSION + 1))

    monkeypatch.setattr(verify_module._Verifier, "restore", restore)
    with pytest.raises(verify_module.BackupDiffers, match="'instr:000000003' was"):
        backups.verify(exported.name)


def test_object_lock_refuses_deletion_and_retention_respects_it(
    env: Environment, cache: redis.Redis, moment: datetime
) -> None:
    fill(cache, 10)
    locking = with_settings(env, ICACHE_BACKUP_LOCK_HOURS="1", ICACHE_BACKUP_KEEP_COUNT="1")
    older = good_backup(locking, "older", moment - timedelta(seconds=2))
    newer = good_backup(locking, "newer", moment)
    removed = locking.retain("x")
    assert (removed.removed, removed.locked) == ({"first": [], "second": []}, {"first": 1, "second": 1})
    assert locking.catalog.good_names() == [newer.name, older.name]
    locking.readers(older.name)[0].check()


def test_the_retention_removes_in_both_regions_and_keeps_the_last_good_one(
    env: Environment, cache: redis.Redis, moment: datetime
) -> None:
    fill(cache, 10)
    backups = with_settings(env, ICACHE_BACKUP_KEEP_COUNT="1", ICACHE_BACKUP_KEEP_DAYS="1")
    old = moment - timedelta(days=30)
    names = [good_backup(backups, f"run {day}", old + timedelta(days=day)).name for day in range(3)]
    expected = names[:2]
    assert backups.plan()["would_remove"] == {"first": expected, "second": expected}
    assert backups.retain("x").removed == {"first": expected, "second": expected}
    assert backups.catalog.good_names() == names[2:]
    assert not [key for region in backups.regions for key in region.objects.keys("") if names[0] in key]
    assert backups.retain("x").removed == {"first": [], "second": []}


def test_a_clock_that_is_off_dates_nothing(
    backups: Backups, cache: redis.Redis, moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(cache, 10)
    monkeypatch.setattr("time.time", lambda: datetime.now(UTC).timestamp() + 300)
    report = run_backup(backups, "run", moment + timedelta(minutes=5))
    assert report.sentence.startswith("the clock here is +300 s off")
    assert abs(backups.catalog.newest_good().started - moment) < timedelta(minutes=1)
    assert backups.catalog.as_of(moment + timedelta(minutes=1)).entries == 21


def test_two_at_once_one_is_refused(backups: Backups, cache: redis.Redis, moment: datetime) -> None:
    fill(cache, 10)
    with operation_lock(cache, "instruments", "backup", "somebody"):
        with pytest.raises(OperationRunning, match="'somebody' holds the lock"):
            backups.export("run", moment)
        assert backups.export("somebody", moment).made


def test_two_exports_of_one_run_end_in_one_backup(env: Environment, cache: redis.Redis, moment: datetime) -> None:
    """A worker that was believed dead goes on beside the second try."""
    fill(cache, 500)
    tries = [threading.Thread(target=Backups(env).export, args=("run", moment)) for _ in range(2)]
    for attempt in tries:
        attempt.start()
    for attempt in tries:
        attempt.join()
    backups = Backups(env)
    names = backups.catalog.names()
    assert len(names) == 1
    assert backups.mark_good(backups.verify(names[0]))
    with pytest.raises(BackupRefused):
        backups.catalog.named("20200101T000000Z-000000000000")
