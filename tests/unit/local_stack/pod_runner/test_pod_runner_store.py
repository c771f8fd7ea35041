"""Pods on disk and the order of changes."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from local_stack.pod_runner.changes import CHANGES_KEPT_MAX, Change, ChangeLog, Expired
from local_stack.pod_runner.config import RunnerConfig
from local_stack.pod_runner.lifecycle import TERMINATED
from local_stack.pod_runner.new_pod import first_events, new_pod
from local_stack.pod_runner.process import ProcessIdentity
from local_stack.pod_runner.status import Json
from local_stack.pod_runner.store import PodRecord, PodStore
from local_stack.pod_runner.watch import watch


@pytest.fixture
def store(tmp_path: Path) -> PodStore:
    return loaded(tmp_path)


def loaded(tmp_path: Path) -> PodStore:
    store = PodStore(tmp_path / "state")
    store.load()
    return store


def test_pods_come_back_after_a_restart(store: PodStore, tmp_path: Path, pod: Json, config: RunnerConfig) -> None:
    stored = new_pod(pod, config)
    record = store.put(PodRecord(stored, shim=ProcessIdentity(7, 8), verdict=TERMINATED), *first_events(stored))
    again = loaded(tmp_path)
    assert again.get("a") == record
    assert again.events() == store.events()
    assert again.put(record).version > record.version


def test_removed_pods_leave_nothing(store: PodStore, tmp_path: Path, pod: Json, config: RunnerConfig) -> None:
    record = store.put(PodRecord(new_pod(pod, config)))
    store.run_dir(record).mkdir()
    store.remove(record)
    assert store.get("a") is None
    assert [path for path in (tmp_path / "state").rglob("*") if path.is_file()] == []
    assert loaded(tmp_path).records() == []


def test_unreadable_files_are_set_aside(store: PodStore, tmp_path: Path, pod: Json, config: RunnerConfig) -> None:
    good = store.put(PodRecord(new_pod(pod, config)))
    folder = tmp_path / "state" / "pods"
    (folder / "half.json").write_text('{"pod": {')
    (folder / "other.json").write_text(json.dumps({"pod": {}}))
    again = loaded(tmp_path)
    assert again.records() == [good]
    assert sorted(path.name for path in folder.glob("*.unreadable")) == ["half.unreadable", "other.unreadable"]


def test_run_folders_without_a_pod_are_removed(store: PodStore, tmp_path: Path) -> None:
    orphan = tmp_path / "state" / "run" / "gone"
    orphan.mkdir()
    loaded(tmp_path)
    assert not orphan.exists()


def test_a_disk_that_refuses_costs_no_progress(
    store: PodStore, tmp_path: Path, pod: Json, config: RunnerConfig
) -> None:
    record = store.put(PodRecord(new_pod(pod, config)))
    folder = tmp_path / "state" / "pods"
    folder.rename(tmp_path / "away")
    with pytest.raises(OSError, match="No such file"):
        store.put(replace(record, verdict=TERMINATED))
    assert store.get("a") == record
    store.note(replace(record, verdict=TERMINATED))
    assert store.get("a") != record


def test_versions_grow_even_if_the_clock_does_not() -> None:
    changes = ChangeLog(now_us=lambda: 100)
    changes.start_at(500)
    assert [changes.next_version() for _ in range(3)] == [501, 502, 503]


def test_old_changes_expire() -> None:
    changes = ChangeLog(now_us=lambda: 0)
    for _ in range(CHANGES_KEPT_MAX + 1):
        changes.record(Change(changes.next_version(), "Pod", None, {}))
    assert len(changes.since(1)) == CHANGES_KEPT_MAX
    with pytest.raises(Expired):
        changes.since(0)


async def told(store: PodStore, since: int) -> list[Json]:
    """Watch pods with the label watched=yes; the pods are changed before, so the time-out may be short."""

    def matches(item: Json) -> bool:
        return bool(item["metadata"]["labels"].get("watched") == "yes")

    def current() -> list[Json]:
        return [record.pod for record in store.records()]

    return [json.loads(line) async for line in watch(store.changes, "Pod", matches, current, since, 0.05)]


def test_watch_tells_objects_that_begin_and_cease_to_match(store: PodStore, pod: Json, config: RunnerConfig) -> None:
    start = store.changes.version
    record = store.put(PodRecord(new_pod(pod, config)))
    for labels in ({"watched": "yes"}, {"watched": "yes", "more": "x"}, {}):
        metadata = {**record.pod["metadata"], "labels": labels}
        record = store.put(replace(record, pod={**record.pod, "metadata": metadata}))

    async def scenario() -> None:
        lines = await told(store, start)
        assert [line["type"] for line in lines] == ["ADDED", "MODIFIED", "DELETED"]
        assert lines[-1]["object"]["metadata"]["resourceVersion"] == str(record.version)
        assert await told(store, 0) == []
        assert [line["object"]["code"] for line in await told(store, start - 1)] == [410]

    asyncio.run(scenario())
