"""What ages out goes, and what is still needed stays, whatever its age."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from flink_jobs.launch import wanted
from instrument_cache.objects import ObjectLock
from instrument_cache.objects_memory import MemoryObjects
from instrument_cache.retention import rules
from instrument_cache.retention.job_state import JobState, job_state
from instrument_cache.retention.model import Kind
from instrument_cache.retention.service import Retention
from instrument_cache.settings import Environment

NOW = datetime(2026, 11, 21, 18, tzinfo=UTC)
TOPIC = "0123456789abcdef0123456789abcdef"
ARCHIVE = "dead-letters/instruments/"
OLD, NEW = 2000, 1


def written(objects: MemoryObjects, name: str, days: int, lock: ObjectLock | None = None) -> str:
    objects.put_once(name, b"{}", {"next": "7"}, lock)
    objects.times[name] = NOW - timedelta(days=days)
    return name


def before(days: int = 90) -> datetime:
    return NOW - timedelta(days=days)


def run(generation: int, release: str, base: str | None = None) -> wanted.Run:
    return wanted.Run(generation=generation, release=release, parallelism=0, base=base, job_id="j", began_us=1)


def past(generation: int, release: str, verdict: wanted.Verdict, days: int) -> wanted.Past:
    ended_us = int((NOW - timedelta(days=days)).timestamp() * 1e6)
    return wanted.Past(run(generation, release), verdict, "", ended_us)


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def state(objects: MemoryObjects) -> JobState:
    """As the launcher writes it: generation 9 runs, from a savepoint of 7."""
    told = wanted.Wanted(
        configured=wanted.Configured("v8", 2),
        current=run(9, "v9", "s3://bucket/savepoints/instruments/7/savepoint-abc"),
        trial=run(10, "v10", "s3://bucket/checkpoints/instruments/9/0123/chk-4"),
        past=(past(8, "v8", "failed", NEW), past(7, "v7", "good", OLD), past(6, "v6", "good", OLD)),
    )
    written(objects, "wanted/instruments/00000001.json", NEW)
    objects.bodies["wanted/instruments/00000001.json"] = b"{}"
    objects.put_once("wanted/instruments/00000002.json", msgspec.json.encode(told))
    found = job_state(objects, "instruments")
    assert found
    return found


def test_the_newest_state_that_a_launcher_wrote_is_read(state: JobState) -> None:
    assert (state.current.generation, state.current.release) == (9, "v9")
    assert state.kept_releases(before()) == {"v7", "v8", "v9", "v10"}
    assert state.kept_generations(before()) == {7, 8, 9, 10}


def test_releases_that_were_replaced_go(objects: MemoryObjects, state: JobState) -> None:
    for version in ("v5", "v6", "v7", "v8", "v9", "v10"):
        written(objects, f"releases/instruments/{version}/release.json", OLD)
        written(objects, f"releases/instruments/{version}/code.zip", OLD)
    written(objects, "releases/instruments/v11/release.json", NEW)
    written(objects, "releases/others/v1/release.json", OLD)
    found = [item.name for item in rules.releases(objects, "instruments", state, before())]
    assert found == ["releases/instruments/v5/", "releases/instruments/v6/"]


def test_states_that_nothing_began_from_go(objects: MemoryObjects, state: JobState) -> None:
    for generation in (5, 6, 7, 9, 10, 11):
        written(objects, f"savepoints/instruments/{generation}/savepoint-a/_metadata", OLD)
        written(objects, f"checkpoints/instruments/{generation}/job/chk-1/_metadata", OLD)
    written(objects, "savepoints/savepoint-of-long-ago/_metadata", OLD)
    found = [item.name for item in rules.job_states(objects, "instruments", state, before())]
    folders = [f"{kind}/instruments/{generation}/" for kind in ("savepoints", "checkpoints") for generation in (5, 6)]
    assert found == folders


def test_before_the_first_launch_nothing_of_the_job_goes(objects: MemoryObjects) -> None:
    assert job_state(objects, "instruments") is None


def test_the_newest_archive_of_a_partition_stays(objects: MemoryObjects) -> None:
    names = [
        written(
            objects, f"dead-letters/instruments/2020-01-0{day}/10/{TOPIC}-{partition:04d}-{start:018d}.ndjson.gz", OLD
        )
        for day, partition, start in ((1, 0, 0), (2, 0, 5), (1, 1, 0))
    ]
    written(objects, "dead-letters/instruments/2020-01-01/10/notes.txt", OLD)
    assert [item.name for item in rules.archives(objects, "instruments", before())] == names[:1]


def test_a_report_goes_only_once_the_trail_has_it(objects: MemoryObjects) -> None:
    old = written(objects, "reports/instruments/backup/2020-01-01/a.json", OLD)
    waiting = written(objects, "approvals/instruments/2020-01-01/b.json", OLD)
    written(objects, "reports/instruments/backup/2026-11-20/c.json", NEW)
    written(objects, "audit/instruments/replay/x/intent.json", OLD)
    found = list(rules.old_reports(objects, "instruments", before()))
    assert found == [old, waiting]
    assert [item.name for item in rules.chained_reports(found, {old})] == [old]


def test_the_newest_good_profile_of_each_input_stays_with_its_run(objects: MemoryObjects) -> None:
    good, runs = "quality/instruments/good", "quality/instruments/runs"
    first = written(objects, f"{good}/cache/2020-01-01T10-00-00-manual__a.json", OLD)
    written(objects, f"{good}/cache/2020-01-02T10-00-00-manual__b.json", OLD)
    written(objects, f"{good}/source/2020-01-01T10-00-00-manual__c.json", OLD)
    written(objects, f"{good}/backup/2020-01-01T10-00-00-manual__d.json", NEW)
    for run in ("manual__a", "manual__b", "manual__c", "manual__e"):
        written(objects, f"{runs}/{run}/cache.json", OLD)
        written(objects, f"{runs}/{run}/index.html", OLD)
    written(objects, f"{runs}/manual__new/cache.json", NEW)
    assert [item.name for item in rules.good_profiles(objects, "instruments", before())] == [first]
    gone = [item.name for item in rules.data_docs(objects, "instruments", before())]
    assert gone == [f"{runs}/manual__a/", f"{runs}/manual__e/"]


def test_only_empty_folders_of_a_day_ago_go(tmp_path: Path) -> None:
    for name in ("icache-release-empty", "icache-release-full", "icache-release-new", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "icache-release-full" / "code.zip").write_bytes(b"x")
    for name in ("icache-release-empty", "icache-release-full", "other"):
        os.utime(tmp_path / name, (1000, 1000))
    found = [item.name for item in rules.scratch_folders(tmp_path)]
    assert found == [str(tmp_path / "icache-release-empty")]


class Known(Retention):
    """With the bucket in memory, and a trail that has every report."""

    def __init__(self, objects: MemoryObjects) -> None:
        super().__init__(Environment({}), NOW)
        self.__dict__["objects"] = objects

    def _chained(self) -> set[str]:
        return set(self.objects.keys("reports/"))


def test_a_dry_run_removes_nothing_and_a_lock_holds(objects: MemoryObjects, state: JobState) -> None:
    free = written(objects, "quality/instruments/runs/old/index.html", OLD)
    lock = ObjectLock("GOVERNANCE", datetime.now(UTC) + timedelta(days=1))
    locked = written(objects, "reports/instruments/backup/2020-01-01/a.json", OLD, lock)
    waiting = written(objects, "approvals/instruments/2020-01-01/b.json", OLD)
    before_all = dict(objects.bodies)

    dry = Known(objects).remove(dry_run=True)
    assert [(item.kind, item.name) for item in dry.items if item.kind is not Kind.SCRATCH] == [
        (Kind.REPORT, locked),
        (Kind.DATA_DOCS, "quality/instruments/runs/old/"),
    ]
    assert objects.bodies == before_all

    done = Known(objects).remove()
    assert (done.locked, done.waiting) == ([locked], 1)
    assert before_all.keys() - objects.bodies.keys() == {free}
    assert waiting in objects.bodies
