"""What an operation finds when it begins, and what must be there when it has ended."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from instrument_cache.backup.service import Backups
from instrument_cache.change import is_tombstone
from instrument_cache.clock import SystemClock
from instrument_cache.dead_letters.service import DeadLetters
from instrument_cache.objects import ObjectStore
from instrument_cache.reconcile.expected import ExpectedMaker
from instrument_cache.reports import name_of_run, newest
from instrument_cache.scratch.folder import scratch_folder
from instrument_cache.settings import Environment, s3_second_settings, s3_settings
from instrument_cache.source.interface import Put
from instrument_cache.source.registry import open_source
from local_stack.synthetic import synthetic_cusip
from tests.drift import Planter
from tests.faults.operations.parts import Parts
from tests.integration.dead_letters.letters import LetterBox, in_order
from tests.integration.reconcile.test_drift import RedisVandal
from tests.integration.restore.world import World

ROWS: Final = 1500
_AGE_US: Final = 60_000_000
# Of each kind of difference.
_PLANTED: Final = 20
_OTHERS: Final = 300
_LETTERS: Final = 200
REPORTED_AS: Final = {"roll-back": "restore", "dr-drill": "dr_drill", "failover-drill": "failover_drill"}


class Scene:
    """One dataset, new for each round. `redis_url`: another Redis than that of the parts."""

    def __init__(self, parts: Parts, operation: str, chance: random.Random, redis_url: str = "") -> None:
        self.parts, self.operation, self._chance = parts, operation, chance
        self.dataset = f"set{uuid.uuid4().hex[:8]}"
        own = {"ICACHE_REDIS_URL": redis_url} if redis_url else {}
        self.settings = {**parts.settings(self.dataset), **own}
        self.env = Environment(self.settings)
        self.world = World(self.env)
        second = s3_second_settings(self.env)
        assert second is not None
        ObjectStore(second).make_bucket()
        self._empty_source()
        # The source takes a row that was deleted only with a version behind that of its deletion.
        self._version = SystemClock().now_us() - _AGE_US
        self._write(range(ROWS), self._version)
        self.world.apply()
        self._put_others()
        PREPARE[operation](self)

    def environment_of_doctor(self) -> Environment:
        """What doctor and page are told: they ask what is there, the way that an operation goes.

        Without Flink the stream stands still, and the doctor would look at that for longer.
        """
        absent = ("ICACHE_AIRFLOW_URL", "ICACHE_LOOKUP_URL", "ICACHE_ROTATION_SECRETS", "ICACHE_DOCTOR_SUPERVISOR_LOG")
        settings = self.parts.through_proxies(self.settings)
        own = {"ICACHE_DOCTOR_FOLDERS": str(self.parts.scratch), "ICACHE_DOCTOR_DEADLINE_S": "5"}
        return Environment({**{name: settings[name] for name in settings if name not in absent}, **own})

    @property
    def client(self) -> Any:
        return self.world.client

    def fill_source(self) -> None:
        """The source has all of its rows again, and the cache must become equal to it."""
        self.world.publish(range(ROWS), self._newer())
        source = open_source(env=self.env)
        puts = [event for event in source.snapshot() if isinstance(event, Put)]
        source.close()
        made = ExpectedMaker(self.world.restores.contract).of_many(puts)
        self.expected = {key.encode(): value for each in made if each for key, value in each.values.items()}

    def lose_rows(self, count: int) -> None:
        """The source forgets so many of its rows."""
        source = open_source(env=self.env)
        source.delete([synthetic_cusip(number) for number in range(count)])
        source.close()

    def damage_all(self) -> int:
        """Every key of the cache is garbage; returns how many."""
        for key in self.expected:
            self.client.set(key, "garbage")
        return len(self.expected)

    def live(self) -> dict[bytes, bytes]:
        """What readers get: everything but tombstones. A key that is no string holds its kind."""
        found: dict[bytes, bytes] = {}
        for prefix in ("instr", "pme"):
            for key in self.client.scan_iter(match=f"{prefix}:*", count=1000):
                found[key] = self.client.get(key) if self.client.type(key) == b"string" else self.client.type(key)
        return {key: value for key, value in found.items() if value is not None and not is_tombstone(value)}

    def note_all(self) -> None:
        """What stands there now is what must be there in the end."""
        self.expected, self.others = self.live(), self._others()

    def _empty_source(self) -> None:
        source = open_source(env=self.env)
        source.delete([event.key for event in source.snapshot() if isinstance(event, Put)])
        source.close()

    def _newer(self) -> int:
        self._version += 1
        return self._version

    def _write(self, numbers: range, version: int) -> None:
        self.world.put(numbers, version)
        self.world.publish(numbers, version)

    def _put_others(self) -> None:
        """Another dataset and other programs live in the same Redis."""
        for number in range(_OTHERS):
            self.client.set(f"issuer:{number:06}", f'{{"v":{_AGE_US:016},"issuer":{number}}}')
            self.client.rpush(f"queue:{number}", "theirs")

    def _others(self) -> dict[bytes, bytes]:
        return {key: self.client.dump(key) for pattern in ("issuer:*", "queue:*") for key in self.client.keys(pattern)}

    def _prepare_reconcile(self) -> None:
        self.note_all()
        numbers = list(range(ROWS))
        self._chance.shuffle(numbers)
        planter = Planter(
            RedisVandal(self.client), self.world.restores.contract, iter(numbers), self._chance, SystemClock().now_us()
        )
        for _ in range(_PLANTED):
            planter.plant()

    def _prepare_backup(self) -> None:
        """There is an older good backup, which the retention is to remove."""
        backups = Backups(self.env)
        exported = backups.export("older", datetime.now(UTC) - timedelta(days=30))
        assert len(backups.mark_good(backups.verify(exported.name))) == 2
        self.note_all()

    def _prepare_restore(self) -> None:
        """A good backup, changes after it, and then half of the cache is lost."""
        self.world.backup()
        self._write(range(0, ROWS, 10), self._newer())
        self.world.apply()
        self.note_all()
        lost = sorted(self.expected)
        self._chance.shuffle(lost)
        self.client.delete(*lost[: len(lost) // 2])

    def _prepare_roll_back(self) -> None:
        """A good backup, and changes after it that are to be undone."""
        self.note_all()
        self.world.backup()
        self._write(range(0, ROWS, 10), self._newer())
        self._write(range(ROWS, ROWS + 50), self._newer())
        self.world.apply()

    def _prepare_drill(self) -> None:
        self.world.backup()
        self._write(range(0, ROWS, 10), self._newer())
        self.world.apply()
        self.note_all()

    def _prepare_archive(self) -> None:
        """Dead letters of several hours in both partitions."""
        self.note_all()
        box = LetterBox(DeadLetters(self.env))
        for number in range(_LETTERS):
            at_us = SystemClock().now_us() - self._chance.randrange(4) * 3_600_000_000
            box.add(self._chance.randbytes(2000), partition=number % 2, at_us=at_us)

    def wrong(self, run_id: str) -> Iterator[tuple[str, str, str]]:
        """(finding, where, text) of what is not as it must be after the run."""
        yield from self._wrong_keys()
        yield from self._left_behind()
        if self.operation == "archive":
            yield from self._wrong_archive()
        else:
            yield from self._wrong_report(run_id)
        if self.operation == "backup":
            yield from self._wrong_backup()

    def untouched(self, before: dict[bytes, bytes]) -> Iterator[tuple[str, str, str]]:
        """What a run that was stopped has changed all the same."""
        now = self.live()
        for key in before.keys() | now.keys():
            if before.get(key) != now.get(key):
                yield "cache", key.decode(), "it was changed though nobody approved it"

    def _wrong_keys(self) -> Iterator[tuple[str, str, str]]:
        now, others = self.live(), self._others()
        for key in sorted(self.expected.keys() | now.keys()):
            if self.expected.get(key) != now.get(key):
                yield "cache", key.decode(), f"{now.get(key)!r} in the place of {self.expected.get(key)!r}"
        for key in self.others.keys() | others.keys():
            if self.others.get(key) != others.get(key):
                yield "foreign", key.decode(), "a key of others was touched"

    def locks(self) -> list[bytes]:
        """The keys of the locks that are held."""
        found: list[bytes] = self.client.keys("lock:*")
        return found

    def _left_behind(self) -> Iterator[tuple[str, str, str]]:
        for key in self.locks():
            yield "left", key.decode(), f"a lock is still held: {self.client.get(key)!r}"
        for pid in self.parts.processes():
            yield "left", str(pid), "a process is still there"
        # What a killed process left is removed by the next one that asks for a folder.
        with scratch_folder(0, self.parts.scratch) as own:
            for path in self.parts.scratch.glob("icache-*"):
                if path != own:
                    yield "left", path.name, "a scratch folder is still there"

    def _wrong_report(self, run_id: str) -> Iterator[tuple[str, str, str]]:
        name = REPORTED_AS.get(self.operation, self.operation)
        summary = newest(self.client, self.dataset, name)
        if summary is None or (summary.run_id, summary.ok) != (run_id, True):
            yield "report", name, f"the newest is {summary}"
        keys = list(ObjectStore(s3_settings(self.env)).keys(f"reports/{self.dataset}/{name}/"))
        if sum(key.endswith(f"/{name_of_run(run_id)}.json") for key in keys) != 1:
            yield "report", run_id, f"there is not one of this run: {keys}"

    def _wrong_backup(self) -> Iterator[tuple[str, str, str]]:
        backups = Backups(self.env)
        good = backups.catalog.good_names()
        if len(good) != 1:
            yield "backup", self.dataset, f"there are {len(good)} good ones: {good}"
        copies = backups.readers(good[0])
        if len(copies) != 2:
            yield "backup", good[0], f"{len(copies)} regions have it"
        for copy in copies:
            held = {entry.key.encode(): entry.value for entry in copy.entries()}
            if {key: value for key, value in held.items() if not is_tombstone(value)} != self.expected:
                yield "backup", copy.region.name, "it holds something else than the cache"

    def _wrong_archive(self) -> Iterator[tuple[str, str, str]]:
        dead_letters = DeadLetters(self.env)
        archived, letters = in_order(dead_letters.archive.read()), LetterBox(dead_letters).letters()
        if len(letters) != _LETTERS or archived != letters:
            yield "archive", self.dataset, f"{len(archived)} of {len(letters)} letters are archived, or others"


PREPARE: Final[dict[str, Callable[[Scene], None]]] = {
    "reconcile": Scene._prepare_reconcile,
    "backup": Scene._prepare_backup,
    "restore": Scene._prepare_restore,
    "roll-back": Scene._prepare_roll_back,
    "dr-drill": Scene._prepare_drill,
    "archive": Scene._prepare_archive,
    "failover-drill": Scene._prepare_drill,
}
