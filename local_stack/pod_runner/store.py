"""All pods of the runner, in memory and as one file each; the only place that changes them.

Objects are never changed in place: each change is a new object with a new resource version, so that a watcher may keep
the old one.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from local_stack.pod_runner.changes import Change, ChangeLog
from local_stack.pod_runner.files import read_json, write_json
from local_stack.pod_runner.lifecycle import Verdict
from local_stack.pod_runner.process import ProcessIdentity
from local_stack.pod_runner.status import Json

EVENTS_PER_POD_MAX = 50
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PodRecord:
    """What the runner knows of one pod."""

    pod: Json  # the Kubernetes object
    shim: ProcessIdentity | None = None  # None: nothing was started yet
    verdict: Verdict | None = None  # set before the runner itself ends the pod
    events: tuple[Json, ...] = ()

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.pod["metadata"]["name"])

    @property
    def uid(self) -> str:
        """The pod's uid, which names its files."""
        return str(self.pod["metadata"]["uid"])

    @property
    def version(self) -> int:
        """The version of the pod's newest change."""
        return _version(self.pod)

    def to_json(self) -> Json:
        """Return the content of the pod's file."""
        return {"pod": self.pod, "shim": self.shim, "verdict": self.verdict, "events": self.events}

    @classmethod
    def from_json(cls, content: Json) -> "PodRecord":
        """Read the content of a pod's file."""
        shim, verdict = content["shim"], content["verdict"]
        return cls(
            pod=content["pod"],
            shim=ProcessIdentity(*shim) if shim else None,
            verdict=Verdict(*verdict) if verdict else None,
            events=tuple(content["events"]),
        )


class PodStore:
    """Pods by name, kept in `state_dir`: `pods/UID.json`, and `run/UID/` with what the shim writes."""

    def __init__(self, state_dir: Path) -> None:
        self._pods_dir = state_dir / "pods"
        self._run_dir = state_dir / "run"
        self._records: dict[str, PodRecord] = {}
        self.changes = ChangeLog()

    def load(self) -> None:
        """Read what an earlier runner left; a file that cannot be read is set aside, not fatal."""
        for folder in (self._pods_dir, self._run_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in sorted(self._pods_dir.glob("*.json")):
            try:
                record = PodRecord.from_json(read_json(path))
                self._records[record.name] = record
            except (ValueError, TypeError, KeyError) as error:
                path.rename(path.with_suffix(".unreadable"))
                _log.error("pod file set aside", path=str(path), error=repr(error))
        self.changes.start_at(max((_version(item) for item in self._all_objects()), default=0))
        self._remove_ownerless_run_dirs()

    def get(self, name: str) -> PodRecord | None:
        """Return the pod of this name."""
        return self._records.get(name)

    def records(self) -> list[PodRecord]:
        """Return all pods by name."""
        return [self._records[name] for name in sorted(self._records)]

    def events(self) -> list[Json]:
        """Return the events of all pods, oldest first."""
        return sorted((event for record in self._records.values() for event in record.events), key=_version)

    def run_dir(self, record: PodRecord) -> Path:
        """Return the folder of the pod's log and exit code."""
        return self._run_dir / record.uid

    def put(self, record: PodRecord, *new_events: Json) -> PodRecord:
        """Store a new or changed pod with its new events; raise OSError, and change nothing, if the disk refuses."""
        record, stamped = self._stamp(record, new_events)
        self._write(record)
        return self._remember(record, stamped)

    def note(self, record: PodRecord, *new_events: Json) -> PodRecord:
        """Store a change that the shim's files tell too: a full disk costs only its place on disk."""
        record, stamped = self._stamp(record, new_events)
        try:
            self._write(record)
        except OSError as error:
            _log.error("pod change not stored", pod=record.name, error=str(error))
        return self._remember(record, stamped)

    def remove(self, record: PodRecord) -> None:
        """Forget a pod with its log and events."""
        del self._records[record.name]
        (self._pods_dir / f"{record.uid}.json").unlink(missing_ok=True)
        shutil.rmtree(self.run_dir(record), ignore_errors=True)
        gone = self._with_version(record.pod)
        self.changes.record(Change(_version(gone), "Pod", gone, None))

    def _stamp(self, record: PodRecord, new_events: tuple[Json, ...]) -> tuple[PodRecord, list[Json]]:
        pod = self._with_version(record.pod)
        stamped = [self._with_version(event) for event in new_events]
        return replace(record, pod=pod, events=(*record.events, *stamped)[-EVENTS_PER_POD_MAX:]), stamped

    def _write(self, record: PodRecord) -> None:
        write_json(self._pods_dir / f"{record.uid}.json", record.to_json())

    def _remember(self, record: PodRecord, new_events: list[Json]) -> PodRecord:
        before = self._records.get(record.name)
        self._records[record.name] = record
        self._announce("Pod", before.pod if before else None, record.pod)
        for event in new_events:
            self._announce("Event", None, event)
        return record

    def _announce(self, kind: str, before: Json | None, after: Json) -> None:
        self.changes.record(Change(_version(after), kind, before, after))

    def _with_version(self, item: Json) -> Json:
        return {**item, "metadata": {**item["metadata"], "resourceVersion": str(self.changes.next_version())}}

    def _all_objects(self) -> Iterator[dict[str, Any]]:
        for record in self._records.values():
            yield record.pod
            yield from record.events

    def _remove_ownerless_run_dirs(self) -> None:
        owned = {record.uid for record in self._records.values()}
        set_aside = {path.stem for path in self._pods_dir.glob("*.unreadable")}
        for folder in self._run_dir.iterdir():
            if folder.name not in owned | set_aside:
                shutil.rmtree(folder, ignore_errors=True)


def _version(item: Json) -> int:
    return int(item["metadata"]["resourceVersion"])
