"""The doctor's rounds while somebody has the page open: its newest word, and what it saw a short while ago.

A fault may be over before the page is loaded again, so the doctor looks more often than the page, and what it saw is
told for some minutes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

import structlog

from instrument_cache.doctor import Finding, red_first
from instrument_cache.overview.model import Past

logger = structlog.get_logger()
Examine = Callable[[], list[Finding]]
_EVERY_S: Final = 5.0
_PAST_S: Final = 300.0
# Nobody looks any more: a browser asks again each quarter of a minute.
_IDLE_S: Final = 60.0


class Examined(NamedTuple):
    """What the doctor found at one look that began at `at` (UTC), and what was so lately and is not any more."""

    at: datetime
    findings: tuple[Finding, ...]
    past: tuple[Past, ...]


class DoctorWatch:
    """Asks the doctor again and again as long as somebody asks for its word. Threads may share it."""

    def __init__(
        self, examine: Examine, every_s: float = _EVERY_S, past_s: float = _PAST_S, idle_s: float = _IDLE_S
    ) -> None:
        self._examine = examine
        self._every_s, self._past_s, self._idle_s = every_s, past_s, idle_s
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._asked_s = 0.0
        self._newest: Examined | None = None
        self._seen: dict[tuple[str, str], tuple[Finding, datetime]] = {}

    def word(self, wait_s: float = 0.0) -> Examined | None:
        """The newest word. If nobody has asked for a while, it is waited for up to `wait_s`, or there is none yet."""
        with self._changed:
            self._asked_s = time.monotonic()
            if self._thread is None:
                self._newest = None  # of when somebody asked last, which may be hours ago
                self._thread = threading.Thread(target=self._watch, name="doctor-watch", daemon=True)
                self._thread.start()
            self._changed.wait_for(lambda: self._newest is not None, max(wait_s, 0.0))
            return self._newest

    def _watch(self) -> None:
        while True:
            began_s = time.monotonic()
            found = self._look()
            with self._changed:
                self._newest = found
                self._changed.notify_all()
            time.sleep(max(began_s + self._every_s - time.monotonic(), 0.0))
            with self._changed:
                if time.monotonic() - self._asked_s > self._idle_s:
                    self._thread = None
                    return

    def _look(self) -> Examined | None:
        at = datetime.now(UTC)
        try:
            found = self._examine()
        except Exception as error:  # such as a setting that is wrong: the page says that the doctor has not spoken
            logger.warning("doctor_failed", error=str(error) or type(error).__name__)
            return None
        return Examined(at, tuple(red_first(found)), tuple(self._past(found, at)))

    def _past(self, found: Iterable[Finding], at: datetime) -> Iterable[Past]:
        """What was not well within the last minutes, and is now. `why` is the same for each finding of a kind."""
        now = {(each.part, each.why): (each, at) for each in found if each.severity != "ok"}
        self._seen = {
            kind: (each, seen_at)
            for kind, (each, seen_at) in {**self._seen, **now}.items()
            if (at - seen_at).total_seconds() < self._past_s
        }
        gone = [(each, seen_at) for kind, (each, seen_at) in self._seen.items() if kind not in now]
        for each, seen_at in sorted(gone, key=lambda one: one[1], reverse=True):
            yield Past(each, seen_at.isoformat(timespec="milliseconds"))
