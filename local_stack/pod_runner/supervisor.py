"""Takes each pod from Pending to its end. What must survive a crash of the runner is on disk before it is acted on.

A pod is started in two steps: the shim is spawned and its identity stored; only then is it told what to run. So a pod
without a stored shim was never started, and a shim that was told nothing starts nothing.
"""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace

import structlog

from local_stack.pod_runner import events
from local_stack.pod_runner.config import RunnerConfig
from local_stack.pod_runner.launch import build_launch
from local_stack.pod_runner.lifecycle import (
    DEADLINE_EXCEEDED,
    TERMINATED,
    Outcome,
    Verdict,
    finished_at,
    finished_status,
    is_finished,
    rfc3339,
    running_status,
    seconds,
)
from local_stack.pod_runner.logs import termination_message
from local_stack.pod_runner.pod_process import PodProcess, Shims
from local_stack.pod_runner.process import ProcessIdentity
from local_stack.pod_runner.status import Json
from local_stack.pod_runner.store import PodRecord, PodStore

SHUTDOWN_GRACE_S = 2.0
SHUTDOWN_KILL_S = 1.0
_log = structlog.get_logger()


class Supervisor:
    """One task per pod that is not finished."""

    def __init__(self, store: PodStore, config: RunnerConfig) -> None:
        self._store = store
        self._config = config
        self._shims = Shims()
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by pod name
        self._stops: set[asyncio.Task[None]] = set()

    def recover(self) -> None:
        """Take up the pods that an earlier runner left, wherever they are."""
        for record in self._store.records():
            if not is_finished(record.pod):
                _log.info("pod taken up", pod=record.name, phase=record.pod["status"]["phase"])
                self.watch_over(record.name)
                if (deletion := _deletion_time(record.pod)) is not None:
                    self._in_background(self._stop(record, max(0.0, deletion - time.time())))

    def watch_over(self, name: str) -> None:
        """Start a stored pod, or go on with it."""
        self._tasks[name] = asyncio.create_task(self._run(name))

    def delete(self, record: PodRecord, grace_s: int) -> Json:
        """Delete a pod: a finished one at once, else by TERM and, after `grace_s`, KILL; return its last state."""
        if is_finished(record.pod):
            self._store.remove(record)
            return record.pod
        wanted, current = time.time() + grace_s, _deletion_time(record.pod)
        if current is not None and current <= wanted:
            return record.pod
        deletion = {"deletionTimestamp": rfc3339(wanted), "deletionGracePeriodSeconds": grace_s}
        pod = {**record.pod, "metadata": {**record.pod["metadata"], **deletion}}
        record = self._store.put(replace(record, pod=pod), events.normal(pod, "Killing", "Stopping container"))
        self._in_background(self._stop(record, grace_s))
        return record.pod

    async def shutdown(self) -> None:
        """End all pods within SHUTDOWN_GRACE_S + SHUTDOWN_KILL_S seconds."""
        running = [record for record in self._store.records() if record.name in self._tasks]
        _log.info("ending pods", pods=len(running))
        for record in running:
            self._judge(record.name, TERMINATED)
        ends = [*(self._stop(record, SHUTDOWN_GRACE_S) for record in running), *self._tasks.values()]
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*ends), SHUTDOWN_GRACE_S + SHUTDOWN_KILL_S)

    async def _run(self, name: str) -> None:
        try:
            self._finish(name, await self._outcome(name))
        except Exception:
            _log.exception("a pod lost its supervision", pod=name)
        finally:
            del self._tasks[name]

    async def _outcome(self, name: str) -> Outcome:
        """Bring a pod from where it is to its end."""
        try:
            process = await self._start(name)
        except (OSError, KeyError) as error:
            now = time.time()
            return Outcome(128, "StartError", now, now, f"the pod runner could not start the pod: {error!r}")
        await process.started()
        self._note_start(name, process)
        await self._await_end(name, process)
        return process.outcome()

    async def _start(self, name: str) -> PodProcess:
        record = self._get(name)
        run_dir = self._store.run_dir(record)
        if record.shim is not None:
            return PodProcess(record.shim, run_dir)
        run_dir.mkdir(mode=0o700, exist_ok=True)
        (run_dir / "log").touch(mode=0o600)
        launch = build_launch(record.pod, self._config, run_dir)
        shim = await self._shims.spawn(name, run_dir)
        self._store_shim(name, shim)
        await self._shims.tell(shim, launch)
        return PodProcess(shim, run_dir)

    def _store_shim(self, name: str, shim: ProcessIdentity) -> None:
        try:
            self._store.put(replace(self._get(name), shim=shim))
        except OSError:
            self._shims.abandon(shim)
            raise

    def _note_start(self, name: str, process: PodProcess) -> None:
        record, start = self._get(name), process.start()
        if start is None or record.pod["status"]["phase"] != "Pending":
            return
        pod = {**record.pod, "status": running_status(record.pod, start.started_at, start.leader.pid)}
        event = events.normal(pod, "Started", f"Started container as process {start.leader.pid}")
        self._store.note(replace(record, pod=pod), event)
        _log.info("pod started", pod=name, pid=start.leader.pid)

    async def _await_end(self, name: str, process: PodProcess) -> None:
        spec, start = self._get(name).pod["spec"], process.start()
        deadline_s = spec.get("activeDeadlineSeconds")
        if deadline_s is not None and start is not None:
            deadline_s = max(0.0, start.started_at + deadline_s - time.time())
        with suppress(TimeoutError):
            await asyncio.wait_for(process.ended(), deadline_s)
            return
        self._judge(name, DEADLINE_EXCEEDED)
        await process.stop(spec["terminationGracePeriodSeconds"])

    async def _stop(self, record: PodRecord, grace_s: float) -> None:
        """End a pod that may be anywhere between Pending and its end."""
        shim, uid = record.shim, record.uid
        while shim is None:
            await asyncio.sleep(0.02)
            current = self._store.get(record.name)
            if current is None or current.uid != uid or is_finished(current.pod):
                return
            shim = current.shim
        process = PodProcess(shim, self._store.run_dir(record))
        await process.started()
        await process.stop(grace_s)

    def _judge(self, name: str, verdict: Verdict) -> None:
        """Record why the runner ends a pod, before it does."""
        record = self._get(name)
        if record.verdict is None:
            event = events.warning(record.pod, verdict.reason, verdict.message)
            self._store.note(replace(record, verdict=verdict), event)

    def _finish(self, name: str, outcome: Outcome) -> None:
        record = self._get(name)
        _log.info("pod finished", pod=name, exit_code=outcome.exit_code, reason=outcome.reason)
        if record.shim:
            self._shims.reap(record.shim)
        if _deletion_time(record.pod) is not None:
            self._store.remove(record)
            return
        outcome = termination_message(record.pod, outcome, self._store.run_dir(record) / "log")
        pod = {**record.pod, "status": finished_status(record.pod, outcome, record.verdict)}
        new_events = [events.warning(pod, "Failed", outcome.message)] if outcome.message else []
        self._store.note(replace(record, pod=pod), *new_events)
        self._drop_oldest_finished()

    def _drop_oldest_finished(self) -> None:
        finished = [record for record in self._store.records() if is_finished(record.pod)]
        finished.sort(key=lambda record: (finished_at(record.pod), record.version), reverse=True)
        for record in finished[self._config.finished_pods_max :]:
            self._store.remove(record)

    def _get(self, name: str) -> PodRecord:
        record = self._store.get(name)
        assert record is not None, f"pod {name} vanished under its task"
        return record

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._stops.add(task)
        task.add_done_callback(self._stops.discard)


def _deletion_time(pod: Json) -> float | None:
    timestamp = pod["metadata"].get("deletionTimestamp")
    return seconds(timestamp) if timestamp else None
