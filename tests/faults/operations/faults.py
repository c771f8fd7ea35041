"""Each fault of an operation: what is done during its first try. The fault is gone when the function returns.

A function returns the code of the try (see `runner.py`). It sees to it that the fault bites.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from tests.faults.disk import full_disk
from tests.faults.operations.attempt import Attempt
from tests.faults.operations.runner import ASKS, RED
from tests.faults.operations.scene import ROWS, Scene
from tests.faults.operations.tasks import OPERATIONS
from tests.integration.lookup_app.sentinels import Sentinels

SKEW_S: Final = 300.0
# What leaves no trace lasts for so long: the page's doctor looks every five seconds.
SEEN_S: Final = 7.0
_REGIONS: Final = ("s3", "s3-second")
_KILLED: Final = -signal.SIGKILL


@dataclass
class At:
    """The round: its scene, its chance, and a way to start the first try with settings of its own."""

    scene: Scene
    chance: random.Random
    long: bool
    calls: Callable[[str], range]
    start: Callable[..., Attempt]
    sentinels: Sentinels | None = None

    def run(self, **options: object) -> int:
        """The whole first try."""
        return self.start(**options).wait()

    def hold(self) -> None:
        time.sleep(self.chance.uniform(SEEN_S, 20 if self.long else SEEN_S + 1))

    @contextmanager
    def seen(self) -> Iterator[None]:
        """The block lasts until somebody who looks now and then has seen it."""
        until_s = time.monotonic() + SEEN_S
        yield
        time.sleep(max(until_s - time.monotonic(), 0.0))

    def somewhere(self, *tasks: str) -> Attempt:
        """A try that is in one of these tasks, of all if none is named."""
        chosen = self.chance.choice(tasks or tuple(OPERATIONS[self.scene.operation]))
        attempt = self.start()
        attempt.await_task(chosen)
        time.sleep(self.chance.uniform(0, 0.3))
        return attempt


Harm = Callable[[At], int]


@dataclass(frozen=True)
class OperationFault:
    """`sentinels`: the cache is a group of Redis servers that fails over."""

    operation: str
    harm: Harm
    sentinels: bool = False


def _kill(task: str) -> Harm:
    def harm(at: At) -> int:
        """kill -9 at one of the calls that the task makes."""
        calls = at.calls(task)
        call = at.chance.choice(calls)
        # The task may have made fewer calls than when they were counted: it waits now and then.
        while (code := at.run(kill_in=task, kill_at=call)) == 0 and call > calls.start:
            call = (calls.start + call) // 2
        assert code == _KILLED, f"it ended with {code} before it could be killed"
        return code

    return harm


def _away(names: tuple[str, ...]) -> Harm:
    def harm(at: At) -> int:
        """Nobody answers there for a while."""
        attempt = at.somewhere()
        with _all(at.scene.parts.proxies[name].away() for name in names):
            at.hold()
        return attempt.wait()

    return harm


def s3_slow(at: At) -> int:
    """Every answer of both regions takes longer, and comes slowly."""
    proxies = [at.scene.parts.proxies[name] for name in _REGIONS]
    late_ms = 600 if at.long else 400
    with (
        _all(proxy.toxic("latency", latency=late_ms, jitter=late_ms // 3) for proxy in proxies),
        _all(proxy.toxic("bandwidth", rate=200) for proxy in proxies),
        at.seen(),
    ):
        return at.run()


def s3_denied(at: At) -> int:
    """The keys of both regions are wrong."""
    code = at.run(ICACHE_S3_SECRET_KEY="wrong", ICACHE_S3_SECOND_SECRET_KEY="wrong")
    assert code != 0, "wrong keys were taken"
    return code


def _one_region(missing: str) -> Harm:
    def harm(at: At) -> int:
        """One of the two regions is away for all of the try."""
        with at.scene.parts.proxies[missing].away(), at.seen():
            return at.run()

    return harm


def redis_failover(at: At) -> int:
    """The primary dies, and with it what its replica, which stood still, has not taken."""
    assert at.sentinels is not None
    master, replica = at.sentinels.master, at.sentinels.replica
    attempt = at.somewhere()
    replica.signal(signal.SIGSTOP)
    time.sleep(at.chance.uniform(0.05, 0.4))
    master.kill()
    replica.signal(signal.SIGCONT)
    return attempt.wait()


def scratch_full(at: At) -> int:
    """The disk of scratch files has not one block left."""
    with full_disk(at.scene.parts.scratch):
        code = at.run()
    assert code == RED, f"it ended with {code} on a full disk"
    return code


def source_cut(at: At) -> int:
    """The source's stream breaks off in its middle."""
    with at.scene.parts.proxies["simulator"].toxic("limit_data", bytes=at.chance.randrange(1_000, 50_000)):
        code = at.run()
    assert code == RED, f"it ended with {code} though the source was cut short"
    return code


def _source_lost(share: float) -> Harm:
    def harm(at: At) -> int:
        """The source forgets rows: a person is asked, and until then nothing is done."""
        at.scene.lose_rows(round(share * ROWS))
        before = at.scene.live()
        code = at.run()
        assert code == ASKS, f"it ended with {code} though the source lost {share:.0%}"
        assert list(at.scene.untouched(before)) == []
        at.scene.fill_source()
        return code

    return harm


def differences_many(at: At) -> int:
    """Every key is garbage: more than the budget, so a person is asked."""
    assert at.scene.damage_all() > 1000
    before = at.scene.live()
    code = at.run()
    assert code == ASKS, f"it ended with {code} though it is far above its budget"
    assert list(at.scene.untouched(before)) == []
    return code


def _clock(seconds: float) -> Harm:
    def harm(at: At) -> int:
        """The clock of the machine that works is off."""
        return at.run(clock_s=seconds)

    return harm


@contextmanager
def _all(managers: Iterator[AbstractContextManager[None]]) -> Iterator[None]:
    with ExitStack() as stack:
        for manager in managers:
            stack.enter_context(manager)
        yield


def _faults() -> Iterator[tuple[str, OperationFault]]:
    for operation, tasks in OPERATIONS.items():
        for task in tasks:
            if task != "approve":
                yield f"{operation}-kill-{task.replace('_', '-')}", OperationFault(operation, _kill(task))
    for operation in ("reconcile", "backup", "restore"):
        yield f"{operation}-s3-away", OperationFault(operation, _away(_REGIONS))
        yield f"{operation}-s3-slow", OperationFault(operation, s3_slow)
        yield f"{operation}-s3-denied", OperationFault(operation, s3_denied)
        yield f"{operation}-own-region-away", OperationFault(operation, _one_region("s3"))
        yield f"{operation}-other-region-away", OperationFault(operation, _one_region("s3-second"))
        yield f"{operation}-redis-failover", OperationFault(operation, redis_failover, sentinels=True)
        yield f"{operation}-clock-fast", OperationFault(operation, _clock(SKEW_S))
        yield f"{operation}-clock-slow", OperationFault(operation, _clock(-SKEW_S))
    yield "archive-s3-away", OperationFault("archive", _away(("s3",)))
    yield "archive-s3-denied", OperationFault("archive", s3_denied)
    for operation in ("reconcile", "backup", "roll-back"):
        yield f"{operation}-scratch-full", OperationFault(operation, scratch_full)
    yield "reconcile-source-away", OperationFault("reconcile", _away(("simulator",)))
    yield "reconcile-source-cut", OperationFault("reconcile", source_cut)
    yield "reconcile-source-empty", OperationFault("reconcile", _source_lost(1.0))
    yield "reconcile-source-half", OperationFault("reconcile", _source_lost(0.5))
    yield "reconcile-differences-many", OperationFault("reconcile", differences_many)


OPERATION_FAULTS: Final[Mapping[str, OperationFault]] = dict(_faults())
