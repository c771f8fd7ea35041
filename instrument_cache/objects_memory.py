"""A twin of `ObjectStore` in memory, for tests: the same answers, and it can be away."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from instrument_cache.errors import ObjectMissing, ObjectStoreUnavailable
from instrument_cache.objects import ObjectLock, ObjectStore
from instrument_cache.settings import Environment


class MemoryObjects(ObjectStore):
    """`bodies` are its objects, to be looked at and altered; while `away` is true it answers nothing.

    `times` are those of their writing, by default the time at which somebody looks.
    """

    def __init__(self, place: str = "memory") -> None:
        self.bodies: dict[str, bytes] = {}
        self.locks: dict[str, ObjectLock] = {}
        self.times: defaultdict[str, datetime] = defaultdict(lambda: datetime.now(UTC))
        self.away = False
        self._metadata: dict[str, dict[str, str]] = {}
        self._place = place
        self._turn = threading.Lock()

    @property
    def place(self) -> str:
        return self._place

    @property
    def env(self) -> Environment | None:
        return None

    def put_once(
        self,
        key: str,
        body: bytes,
        metadata: Mapping[str, str] | None = None,
        lock: ObjectLock | None = None,
        content_type: str = "",
    ) -> bool:
        self._check()
        with self._turn:
            if key in self.bodies:
                return False
            self.bodies[key], self._metadata[key] = body, dict(metadata or {})
            if lock:
                self.locks[key] = lock
            return True

    def put_file(self, key: str, path: Path, lock: ObjectLock | None = None) -> None:
        self._check()
        self.bodies[key] = path.read_bytes()
        if lock:
            self.locks[key] = lock

    def get(self, key: str) -> bytes:
        self._check()
        if key not in self.bodies:
            raise ObjectMissing(f"S3 ({self.place}) gave no object {key!r}")
        return self.bodies[key]

    def get_file(self, key: str, path: Path) -> None:
        path.write_bytes(self.get(key))

    def size(self, key: str) -> int | None:
        self._check()
        return len(self.bodies[key]) if key in self.bodies else None

    def metadata(self, key: str) -> dict[str, str]:
        self._check()
        return self._metadata[key]

    def written(self, prefix: str, after: str = "") -> Iterator[tuple[str, datetime]]:
        self._check()
        found = (key for key in sorted(self.bodies) if key.startswith(prefix) and key > after)
        yield from ((key, self.times[key]) for key in found)

    def locked_until(self, key: str) -> datetime | None:
        self._check()
        return self.locks[key].until if key in self.locks else None

    def lock(self, key: str, lock: ObjectLock) -> None:
        self._check()
        self.locks[key] = lock

    def put_over(self, key: str, body: bytes, lock: ObjectLock | None = None) -> None:
        self._check()
        self.bodies[key] = body

    def erase(self, prefix: str) -> int:
        self._check()
        found = [key for key in self.bodies if key.startswith(prefix)]
        locked = [key for key in found if key in self.locks and self.locks[key].until > datetime.now(UTC)]
        for key in set(found) - set(locked):
            del self.bodies[key]
        return len(locked)

    def _check(self) -> None:
        if self.away:
            raise ObjectStoreUnavailable(f"S3 ({self.place}) does not answer")
