"""kill -9 of Airflow's processes while a DAG works: the run ends green all the same, and with the same result."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from instrument_cache.backup.service import Backups
from instrument_cache.connections import redis_client
from instrument_cache.doctor import examine
from instrument_cache.overview.service import Overviews
from instrument_cache.reports import newest
from instrument_cache.settings import Environment
from instrument_cache.under_way import read_under_way
from local_stack.airflow_api import AirflowApi
from local_stack.instance import DATASET
from local_stack.synthetic import synthetic_cusip, synthetic_rows
from tests.faults.naming import PAGE_EVERY_S, Naming, OpenPage, naming
from tests.faults.operations.expected import expected_of
from tests.faults.operations.rounds import OperationRound, Wrong
from tests.servers import wait_until
from tests.stack import Stack, running_stack

ROWS: Final = 500
# A worker that is gone is missed after two minutes; then come the pauses between tries.
RUN_S_MAX: Final = 420.0
_DAMAGED: Final = 20
_BUDGET: Final = 5
_DONE: Final = ("success", "failed")
# Those that last long enough to be met after they have said that they begin: before that nobody can tell of them.
_TASKS: Final[Mapping[str, tuple[str, ...]]] = {
    "cache_reconcile": ("compare",),
    "cache_backup": ("export", "verify"),
}


class Victims:
    """Finds the process to be killed."""

    def __init__(self, stack: Stack) -> None:
        # Looked up before the moment comes: it takes a second.
        self._parts = stack.status()["parts"]

    def task(self, pid: int) -> int:
        """The process of the task itself."""
        return pid

    def worker(self, pid: int) -> int:
        """The executor's process that started the task and watches it."""
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

    def scheduler(self, _: int) -> int:
        return self._part("airflow-scheduler")

    def triggerer(self, _: int) -> int:
        return self._part("airflow-triggerer")

    def _part(self, name: str) -> int:
        return int(self._parts[name]["pid"])


@dataclass(frozen=True)
class AirflowKill:
    """`waiting`: it happens while the run waits for a person."""

    dag: str
    victims: tuple[Callable[[Victims, int], int], ...]
    waiting: bool = False


AIRFLOW_KILLS: Final[Mapping[str, AirflowKill]] = {
    "airflow-reconcile-kill-task": AirflowKill("cache_reconcile", (Victims.task,)),
    "airflow-reconcile-kill-worker": AirflowKill("cache_reconcile", (Victims.worker,)),
    "airflow-reconcile-kill-scheduler": AirflowKill("cache_reconcile", (Victims.scheduler,)),
    "airflow-reconcile-kill-while-it-asks": AirflowKill(
        "cache_reconcile", (Victims.triggerer, Victims.scheduler), waiting=True
    ),
    "airflow-backup-kill-task": AirflowKill("cache_backup", (Victims.task,)),
    "airflow-backup-kill-worker": AirflowKill("cache_backup", (Victims.worker,)),
    "airflow-backup-kill-scheduler": AirflowKill("cache_backup", (Victims.scheduler,)),
}


class Answering(AirflowApi):
    """Answers for a person, too."""

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
        body = {"chosen_options": [option], "params_input": {}}
        self._call("PATCH", path, json=body, taken=(httpx.codes.CONFLICT,))


class AirflowField:
    """A whole stack with some instruments, for many rounds."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._api = Answering(stack.instance)
        self._env = Environment(stack.instance.settings())
        self._client: Any = redis_client(stack.instance.redis_url, name="test")

    def run(self, fault: str, seed: int, long: bool = False) -> OperationRound:
        """One round of one kill. AssertionError if nothing was there to be killed."""
        kill, chance = AIRFLOW_KILLS[fault], random.Random(f"{fault} {seed}")
        self._await_quiet(kill.dag)
        expected = self._stack.cached()
        if kill.dag == "cache_reconcile":
            self._damage(chance)
        run_id = self._api.trigger(kill.dag, fault, {"budget": _BUDGET} if kill.waiting else {})
        with OpenPage(Overviews(self._env), PAGE_EVERY_S) as page:
            doctor = Naming(partial(examine, self._env), fault, expected_of(fault))
            victims = self._await_victims(kill, run_id, chance)
            with naming(doctor):
                for victim in victims:
                    os.kill(victim, signal.SIGKILL)
                recovery_s = self._recover(kill, run_id)
            shown = page.named(doctor)
        tries = max(task["try_number"] for task in self._api.task_instances(kill.dag, run_id))
        findings = tuple(self._wrong(kill.dag, run_id, expected))
        return OperationRound(fault, seed, tries, recovery_s, findings, doctor.named, shown)

    def _recover(self, kill: AirflowKill, run_id: str) -> float:
        """Wait for the run's end; how long that took."""
        began = time.monotonic()
        if kill.waiting:
            self._approve(kill.dag, run_id)
        wait_until(lambda: self._state(kill.dag, run_id) in _DONE, RUN_S_MAX, what=f"the end of {run_id}")
        return time.monotonic() - began

    def _await_quiet(self, dag: str) -> None:
        """No run of the schedule is under way."""
        wait_until(lambda: not self._api.runs(dag, "running", "queued"), RUN_S_MAX, what=f"no run of {dag}")

    def _damage(self, chance: random.Random) -> None:
        for number in chance.sample(range(ROWS), _DAMAGED):
            key = f"instr:{synthetic_cusip(number)}"
            self._client.set(key, "garbage") if chance.random() < 0.5 else self._client.delete(key)

    def _await_victims(self, kill: AirflowKill, run_id: str, chance: random.Random) -> list[int]:
        """The processes to be killed, in the moment for it."""
        victims, pid = Victims(self._stack), 0
        if kill.waiting:
            wait_until(lambda: self._asks(kill.dag, run_id), RUN_S_MAX, what="the question")
        else:
            task = chance.choice(_TASKS[kill.dag])
            pid = self._await_pid(kill.dag, run_id, task)
        found = [victim(victims, pid) for victim in kill.victims]
        if pid:
            self._await_begun(kill.dag, task)
        return found

    def _await_begun(self, dag: str, task: str) -> None:
        operation = dag.removeprefix("cache_")

        def has_begun() -> bool:
            told = read_under_way(self._client, DATASET).get(operation)
            return told is not None and told.record.is_open and told.record.step == task

        wait_until(has_begun, RUN_S_MAX, what=f"{task} at work")

    def _asks(self, dag: str, run_id: str) -> bool:
        return self._task(dag, run_id, "approve")["state"] in ("awaiting_input", "deferred")

    def _await_pid(self, dag: str, run_id: str, task: str) -> int:
        """Of the task, once it runs."""
        pids: list[int] = []

        def runs() -> bool:
            found = self._task(dag, run_id, task)
            pids.append(int(found["pid"] or 0) if found["state"] == "running" else 0)
            return pids[-1] > 0

        wait_until(runs, RUN_S_MAX, what=f"{task} at work")
        return pids[-1]

    def _task(self, dag: str, run_id: str, task: str) -> dict[str, Any]:
        return next(found for found in self._api.task_instances(dag, run_id) if found["task_id"] == task)

    def _state(self, dag: str, run_id: str) -> str:
        return str(next(found["state"] for found in self._api.runs(dag) if found["dag_run_id"] == run_id))

    def _approve(self, dag: str, run_id: str) -> None:
        def approved() -> bool:
            with suppress(Exception):  # a scheduler that just starts again may hold the database
                self._api.answer(dag, run_id, "approve", "Approve")
            return not self._asks(dag, run_id)

        wait_until(approved, RUN_S_MAX, what="an answer that was taken")

    def _wrong(self, dag: str, run_id: str, expected: dict[str, bytes]) -> Iterator[Wrong]:
        if (state := self._state(dag, run_id)) != "success":
            yield Wrong("end", run_id, f"it ended as {state}")
        now = self._stack.cached()
        for key in expected.keys() | now.keys():
            if expected.get(key) != now.get(key):
                yield Wrong("cache", key, f"{now.get(key)!r} in the place of {expected.get(key)!r}")
        operation = dag.removeprefix("cache_")
        summary = newest(self._client, DATASET, operation)
        if summary is None or (summary.run_id, summary.ok) != (run_id, True):
            yield Wrong("report", operation, f"the newest is {summary}")
        for key in self._client.keys("lock:*"):
            yield Wrong("left", key.decode(), f"a lock is still held: {self._client.get(key)!r}")
        if dag == "cache_backup":
            yield from self._wrong_backup(len(now))

    def _wrong_backup(self, keys: int) -> Iterator[Wrong]:
        backups = Backups(self._env)
        good = backups.catalog.newest_good()
        copies = backups.readers(good.name)
        if len(copies) != 2:
            yield Wrong("backup", good.name, f"{len(copies)} regions have it")
        if good.entries < keys:
            yield Wrong("backup", good.name, f"it has {good.entries} entries of {keys} keys")


@contextmanager
def running_airflow() -> Iterator[AirflowField]:
    """A stack in a new folder."""
    with running_stack() as stack:
        stack.up()
        stack.source.publish(synthetic_rows(ROWS))
        stack.settle()
        yield AirflowField(stack)
