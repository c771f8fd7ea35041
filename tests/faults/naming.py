"""Whether the doctor names a fault: it is asked every two seconds, from the fault's begin until the stack is whole.

Most faults are seen while they last. Those that are over within a second or two (a killed process that the supervisor
starts again, flushed scripts) are named as something that has happened: who was started again, when, and why.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from instrument_cache.doctor import Finding, examine, part_of
from instrument_cache.settings import Environment
from local_stack.commands.doctor import look_at_restarts
from local_stack.components.product import feed_state_file
from tests.faults.fault_stack import FaultStack

NAMED_S_MAX: Final = 60.0
_PAUSE_S: Final = 2.0
# Fault → the part by which it is named, and what the sentence says.
EXPECTED: Final[dict[str, tuple[str, str]]] = {
    "kill-worker": ("flink-job|flink-taskmanager", "started again|not RUNNING|0 slots"),
    "kill-taskmanager": ("flink-job|flink-taskmanager", "started again|not RUNNING|0 slots"),
    "kill-jobmanager": ("flink-jobmanager|flink-job", "does not answer|not ready|no job|started again"),
    "kill-kafka": ("kafka", "Kafka at .* did|started again"),
    "kill-redis": ("redis", "does not answer|started again"),
    "kill-feed": ("feed", "nothing|not live|started again"),
    "redis-out-of-memory": ("redis", "maxmemory .* every write is refused"),
    "redis-read-only": ("redis", "read-only"),
    "redis-script-flush": ("redis", "flushed"),
    "redis-slow": ("redis", "to answer a PING"),
    "redis-cut": ("redis", "new connections|does not answer"),
    "disk-full": ("disk|redis", "are free on the disk|append-only file"),
    "s3-away": ("s3:first", "S3 .*"),
    "clock-skew": ("clock", "in the future"),
}
_FLUSHED: Final = re.compile(r"flushed (\d+) times")
_AGO: Final = re.compile(r"(\d+) (s|min) ago")


class Named(NamedTuple):
    """How long after the fault began it was named, and how."""

    after_s: float
    severity: str
    part: str
    sentence: str

    def __str__(self) -> str:
        return f"named after {self.after_s:.1f} s, {self.severity}, {self.part}: {self.sentence[:200]}"


class Naming:
    """The examinations of one fault. `named` is the first finding that names it."""

    def __init__(self, stack: FaultStack, fault: str) -> None:
        self._stack, self._fault = stack, fault
        self._flushed = max(map(_flushed, examine_stack(stack)), default=0) if fault == "redis-script-flush" else 0
        self._began_s = time.monotonic()
        self._lock = threading.Lock()
        self.named: Named | None = None

    def look(self) -> None:
        """One examination. Some take ten seconds, so several may be under way."""
        for finding in examine_stack(self._stack):
            after_s = time.monotonic() - self._began_s
            if self._names(finding, after_s):
                with self._lock:
                    self.named = self.named or Named(after_s, finding.severity, finding.part, finding.sentence)

    def _names(self, finding: Finding, after_s: float) -> bool:
        part, sentence = EXPECTED[self._fault]
        if not re.fullmatch(part, finding.part) or not re.search(sentence, finding.sentence):
            return False
        if self._fault == "redis-script-flush":
            return _flushed(finding) > self._flushed
        return finding.severity != "ok" and _is_of_now(finding, after_s)


def _is_of_now(finding: Finding, after_s: float) -> bool:
    """False for what happened before the fault."""
    ago = _AGO.search(finding.sentence)
    return ago is None or (ago[2] == "s" and int(ago[1]) <= after_s + 1)


def _flushed(finding: Finding) -> int:
    found = _FLUSHED.search(finding.sentence)
    return int(found[1]) if found else 0


def examine_stack(stack: FaultStack) -> list[Finding]:
    """What the doctor says. It reaches Redis as the stream does: through the proxy. There is no Airflow here."""
    settings = stack.instance.settings()
    absent = ("ICACHE_AIRFLOW_URL", "ICACHE_S3_SECOND_ENDPOINT")
    own = {
        "ICACHE_REDIS_URL": stack.proxy.url(stack.instance),
        "ICACHE_FEED_STATE_FILE": str(feed_state_file(stack.instance)),
    }
    env = Environment({**{name: settings[name] for name in settings if name not in absent}, **own})
    return examine(env, more=[part_of("supervisor", look_at_restarts, stack.supervisor)])


def lasting_reds(stack: FaultStack) -> tuple[str, ...]:
    """What the doctor calls red in two looks, the second only if the first has any."""
    first = _red(stack)
    again = _red(stack) if first else {}
    return tuple(f"{part}: {sentence}" for part, sentence in first.items() if part in again)


def _red(stack: FaultStack) -> dict[str, str]:
    return {finding.part: finding.sentence for finding in examine_stack(stack) if finding.severity == "red"}


def is_unnamed(named: Named | None) -> bool:
    """True if the doctor did not name the fault in time."""
    return named is None or named.after_s > NAMED_S_MAX


@contextmanager
def naming(stack: FaultStack, fault: str) -> Iterator[Naming]:
    """Ask the doctor again and again for the block's time, until it has named the fault."""
    doctor, done = Naming(stack, fault), threading.Event()
    looks: list[threading.Thread] = []

    def watch() -> None:
        while doctor.named is None and not done.wait(_PAUSE_S if looks else 0.2):
            looks.append(threading.Thread(target=doctor.look, daemon=True))
            looks[-1].start()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield doctor
    finally:
        done.set()
        watching.join()
        if doctor.named is None:  # over before it could be seen: what has happened is told for some minutes
            doctor.look()
        for look in looks:
            look.join(NAMED_S_MAX)
