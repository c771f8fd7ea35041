"""Whether a fault is named: by the doctor, asked every two seconds from the fault's begin until the stack is whole, and
by the operator's page, open in a browser all the time.

Most faults are seen while they last. Those that are over within a second or two (a killed process that the supervisor
starts again, flushed scripts) are named as something that has happened: who was started again, when, and why.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, NamedTuple

from instrument_cache.doctor import Finding, examine
from instrument_cache.overview.model import Overview
from instrument_cache.overview.service import Overviews
from instrument_cache.settings import Environment
from local_stack.components.product import feed_state_file
from tests.faults.fault_stack import FaultStack
from tests.servers import wait_until

NAMED_S_MAX: Final = 60.0
# As the page's own script has it.
PAGE_EVERY_S: Final = 15.0
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
    """The examinations of one fault. `expected`: the part and the sentence that name it, as regular expressions.

    `named` is the first finding that names it.
    """

    def __init__(self, examining: Callable[[], list[Finding]], fault: str, expected: tuple[str, str]) -> None:
        self._examine, self._fault, self._expected = examining, fault, expected
        self._flushed = max(map(_flushed, examining()), default=0) if fault == "redis-script-flush" else 0
        self.began_s, self._began_at = time.monotonic(), time.time()
        self._lock = threading.Lock()
        self.named: Named | None = None

    def look(self) -> None:
        """One examination. Some take ten seconds, so several may be under way."""
        for finding in self._examine():
            after_s = time.monotonic() - self.began_s
            if self._names(finding, after_s):
                with self._lock:
                    self.named = self.named or Named(after_s, finding.severity, finding.part, finding.sentence)

    def named_by(self, seen_s: float, page: Overview) -> Named | None:
        """What a page that was seen at `seen_s` (of time.monotonic()) says of the fault."""
        after_s = seen_s - self.began_s
        found = next((each for each in _told_since(self._began_at, page) if self._names(each, after_s)), None)
        return found and Named(after_s, found.severity, found.part, found.sentence)

    def _names(self, finding: Finding, after_s: float) -> bool:
        part, sentence = self._expected
        if not re.fullmatch(part, finding.part) or not re.search(sentence, finding.sentence):
            return False
        if self._fault == "redis-script-flush":
            return _flushed(finding) > self._flushed
        return finding.severity != "ok" and _is_of_now(finding, after_s)


def _told_since(began_at: float, page: Overview) -> Iterator[Finding]:
    """What the doctor saw since a moment (in seconds since 1970), and not what the page still holds of before."""
    if page.examined_at and _seconds(page.examined_at) >= began_at:
        yield from (*page.findings, *page.well)
    yield from (past.finding for past in page.past if _seconds(past.seen_at) >= began_at)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _is_of_now(finding: Finding, after_s: float) -> bool:
    """False for what happened before the fault."""
    ago = _AGO.search(finding.sentence)
    return ago is None or (ago[2] == "s" and int(ago[1]) <= after_s + 1)


def _flushed(finding: Finding) -> int:
    found = _FLUSHED.search(finding.sentence)
    return int(found[1]) if found else 0


def environment_of(stack: FaultStack) -> Environment:
    """What doctor and page are told. They reach Redis through the proxy; there is no Airflow, and no second region."""
    settings = stack.instance.settings()
    absent = ("ICACHE_AIRFLOW_URL", "ICACHE_S3_SECOND_ENDPOINT")
    own = {
        "ICACHE_REDIS_URL": stack.proxy.url(stack.instance),
        "ICACHE_FEED_STATE_FILE": str(feed_state_file(stack.instance)),
    }
    return Environment({**{name: settings[name] for name in settings if name not in absent}, **own})


def examine_stack(stack: FaultStack) -> list[Finding]:
    """What the doctor says."""
    return examine(environment_of(stack))


def lasting_reds(stack: FaultStack) -> tuple[str, ...]:
    """What the doctor calls red in two looks, the second only if the first has any."""
    first = _red(stack)
    again = _red(stack) if first else {}
    return tuple(f"{part}: {sentence}" for part, sentence in first.items() if part in again)


def _red(stack: FaultStack) -> dict[str, str]:
    return {finding.part: finding.sentence for finding in examine_stack(stack) if finding.severity == "red"}


def is_unnamed(named: Named | None) -> bool:
    """True if the fault was not named in time."""
    return named is None or named.after_s > NAMED_S_MAX


@contextmanager
def naming(doctor: Naming) -> Iterator[None]:
    """Ask the doctor again and again for the block's time, until it has named the fault."""
    done = threading.Event()
    looks: list[threading.Thread] = []

    def watch() -> None:
        while doctor.named is None and not done.wait(_PAUSE_S if looks else 0.2):
            looks.append(threading.Thread(target=doctor.look, daemon=True))
            looks[-1].start()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()
        if doctor.named is None:  # over before it could be seen: what has happened is told for some minutes
            doctor.look()
        for look in looks:
            look.join(NAMED_S_MAX)


class OpenPage:
    """The operator's page as a browser has it open, which asks for it every so often. Use it in a `with`."""

    def __init__(self, overviews: Overviews, every_s: float) -> None:
        self._overviews, self._every_s = overviews, every_s
        self._seen: list[tuple[float, Overview]] = []
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> OpenPage:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closed.set()
        self._thread.join(NAMED_S_MAX)

    def _watch(self) -> None:
        while not self._closed.is_set():
            page = self._overviews.look()
            self._seen.append((time.monotonic(), page))
            self._closed.wait(self._every_s)

    def named(self, fault: Naming, within_s: float = NAMED_S_MAX) -> Named | None:
        """What it first said of the fault; None if that time has passed since the fault began, and it has not."""
        found: list[Named] = []

        def has_named() -> bool:
            found.extend(named for look in [*self._seen] if (named := fault.named_by(*look)))
            return bool(found) or time.monotonic() - fault.began_s > within_s

        wait_until(has_named, within_s + 1, what="a page that names the fault")
        return found[0] if found else None
