"""One round: an operation begins, a fault comes, and when it is gone the operation is tried again, as Airflow does."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from instrument_cache.doctor import examine
from instrument_cache.operation_lock import TTL_S
from instrument_cache.overview.service import Overviews
from tests.faults.naming import PAGE_EVERY_S, Named, Naming, OpenPage, naming
from tests.faults.operations.attempt import Attempt
from tests.faults.operations.expected import expected_of
from tests.faults.operations.faults import OPERATION_FAULTS, At
from tests.faults.operations.parts import Parts, running_parts
from tests.faults.operations.runner import ASKS, FAILED, RED
from tests.faults.operations.scene import Scene
from tests.faults.operations.tasks import OPERATIONS, Order
from tests.integration.lookup_app.sentinels import Sentinels
from tests.servers import wait_until

TRIES_MAX: Final = 5
_PAUSE_S: Final = 1.0
# In a short round somebody loads the page again and again.
_PAGE_SHORT_EVERY_S: Final = 2.0
_ENDED: Final = frozenset({FAILED, ASKS})


class Wrong(NamedTuple):
    """One thing that is not as it must be. `name` is one of the columns of the table."""

    name: str
    where: str
    text: str


@dataclass(frozen=True)
class OperationRound:
    """`tries` of the operation were needed, the one that the fault met included; the last took `recovery_s` in all.

    `named`: what the doctor said of the fault, and `shown` what the operator's page did; None if they never named it.
    """

    fault: str
    seed: int
    tries: int
    recovery_s: float
    findings: tuple[Wrong, ...]
    named: Named | None
    shown: Named | None


@dataclass
class _Trials:
    """The tries of one round. A run that failed for good, or that asks, is followed by the next run."""

    scene: Scene
    folder: Path
    run: int = 1
    tries: int = 0
    begun: dict[str, str] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        return f"run {self.run}"

    def start(self, **options: Any) -> Attempt:
        """Begin a try. Options in capitals are settings, the others are the order's."""
        self.tries += 1
        settings = {name: value for name, value in options.items() if name.isupper()}
        order = {name: value for name, value in options.items() if not name.isupper()}
        environment = {**self.scene.parts.through_proxies(self.scene.settings), **settings}
        moment = self.begun.setdefault(self.run_id, datetime.now(UTC).isoformat())
        return Attempt(Order(self.scene.operation, self.run_id, moment, str(self.folder), **order), environment)

    def until_it_ends_well(self, code: int) -> Iterator[Wrong]:
        """Try again until it ends well, at most TRIES_MAX times. `code` is that of the first try."""
        asked = False
        while code and self.tries < TRIES_MAX:
            yield from self._broken(code)
            asked = asked or code == ASKS
            self.run += code in _ENDED
            time.sleep(_PAUSE_S)
            attempt = self.start(approved=asked)
            code = attempt.wait()
        if code:
            yield Wrong("end", self.run_id, f"it did not end well in {self.tries} tries: {self._log()}")

    def next_run(self) -> Iterator[Wrong]:
        """What a server took just before it died is lost, whoever was told that it was taken: the next run mends it.

        The end of the last run's lock may be among it. It ends by itself, and Airflow's pauses are longer than that.
        """
        wait_until(lambda: not self.scene.locks(), 2 * TTL_S, what="the end of every lock")
        self.run += 1
        self.tries = 0
        yield from self.until_it_ends_well(self.start().wait())

    def _broken(self, code: int) -> Iterator[Wrong]:
        if code > 0 and code not in (RED, *_ENDED):
            yield Wrong("other", self.run_id, f"it broke with {code}: {self._log()}")

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]


class OperationsField:
    """Running parts, for many rounds."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._calls: dict[str, dict[str, range]] = {}

    def run(self, fault: str, seed: int, long: bool = False) -> OperationRound:
        """One round of one fault. AssertionError if the fault did not bite."""
        chosen, chance = OPERATION_FAULTS[fault], random.Random(f"{fault} {seed}")
        calls = self.calls(chosen.operation) if "-kill-" in fault else {}
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="icache-tries-")))
            sentinels = stack.enter_context(_sentinels(folder)) if chosen.sentinels else None
            scene = Scene(self._parts, chosen.operation, chance, sentinels.url if sentinels else "")
            if sentinels:
                sentinels.wait_for_replica()
            trials = _Trials(scene, folder)
            env = scene.environment_of_doctor()
            page = stack.enter_context(OpenPage(Overviews(env), PAGE_EVERY_S if long else _PAGE_SHORT_EVERY_S))
            doctor = Naming(partial(examine, env), fault, expected_of(fault))
            with naming(doctor):
                code = chosen.harm(At(scene, chance, long, calls.__getitem__, trials.start, sentinels))
                began = time.monotonic()
                findings = list(trials.until_it_ends_well(code))
            if chosen.sentinels:
                findings += trials.next_run()
            recovery_s = time.monotonic() - began
            findings += [Wrong(*found) for found in scene.wrong(trials.run_id)]
            shown = page.named(doctor)
        return OperationRound(fault, seed, trials.tries, recovery_s, tuple(findings), doctor.named, shown)

    def calls(self, operation: str) -> dict[str, range]:
        """Task → its calls from when it says that it begins, found out by a run that nothing disturbs."""
        if operation not in self._calls:
            self._calls[operation] = self._count(operation)
        return self._calls[operation]

    def _count(self, operation: str) -> dict[str, range]:
        scene = Scene(self._parts, operation, random.Random(operation))
        with tempfile.TemporaryDirectory(prefix="icache-tries-") as folder:
            trials = _Trials(scene, Path(folder))
            attempt = trials.start(count_calls=True)
            assert attempt.wait() == 0, attempt.log
            wrong = list(scene.wrong(trials.run_id))
            assert wrong == [], f"without any fault: {wrong[:5]}"
            told = {task: (Path(folder) / f"{task}.calls").read_text() for task in OPERATIONS[operation]}
            return {task: range(*map(int, text.split())) for task, text in told.items()}


@contextmanager
def _sentinels(folder: Path) -> Iterator[Sentinels]:
    (folder / "redis").mkdir()
    with Sentinels(folder / "redis") as group:
        yield group


@contextmanager
def running_operations(seed: int) -> Iterator[OperationsField]:
    """The parts, without anything in them."""
    with running_parts(seed) as parts:
        yield OperationsField(parts)
