"""Asks the parts of the system at the same time, each within the look's deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

import structlog

logger = structlog.get_logger()
_LATE: Final = "it did not answer in time"


class Part:
    """One part of the system and the question put to it.

    A part that hangs keeps its one thread; no further question is put to it until it has answered.
    """

    def __init__(self, name: str, question: Callable[[], Any]) -> None:
        self.name = name
        self._question = question
        self._asked: Future[Any] | None = None
        self._lock = threading.Lock()
        self._complaint: str | None = None
        self.answered_s = 0.0  # when it last answered, of time.monotonic()

    def ask(self) -> Future[Any]:
        """Begin to ask, or go on waiting for the answer to the question before."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                threading.Thread(target=self._answer, args=(self._asked,), name=f"ask-{self.name}", daemon=True).start()
            return self._asked

    def _answer(self, asked: Future[Any]) -> None:
        try:
            answer = self._question()
            self.answered_s = time.monotonic()
            asked.set_result(answer)
        except BaseException as error:  # whatever it is, the scrape reports the part as away and goes on
            asked.set_exception(error)

    def note(self, complaint: str | None) -> None:
        """Log what is wrong when it changes, not at each scrape."""
        if complaint != self._complaint:
            self._complaint = complaint
            logger.warning("part_away", part=self.name, error=complaint) if complaint else logger.info(
                "part_answers", part=self.name
            )


class SlowPart:
    """A question that takes longer than a scrape may: scrapes get the newest answer.

    It is asked again once its answer is `every_s` old, or at the next scrape if it failed.
    """

    def __init__(self, part: Part, every_s: float) -> None:
        self._part, self._every_s = part, every_s
        self._asked: Future[Any] | None = None
        self._answer: Any = None
        self._answered_s: float | None = None
        self._lock = threading.Lock()

    def latest(self) -> Any:
        """The newest answer; None if there is none, or if the question failed the last time. Never raises."""
        with self._lock:
            if self._asked is not None and self._asked.done():
                self._take(self._asked)
            if self._asked is None and self._is_due():
                self._asked = self._part.ask()
            return self._answer

    def _is_due(self) -> bool:
        return self._answered_s is None or time.monotonic() - self._answered_s >= self._every_s

    def _take(self, asked: Future[Any]) -> None:
        error = asked.exception()
        self._part.note(None if error is None else str(error) or type(error).__name__)
        self._answer = None if error else asked.result()
        # By when it was given: nobody may have looked for hours since.
        self._answered_s = None if error else self._part.answered_s
        self._asked = None


class Away(NamedTuple):
    """A part that gave no answer, and why, for people."""

    why: str


def ask_all(parts: list[Part], deadline_s: float) -> Mapping[str, Any]:
    """Name → answer of each part that answered in time. Never raises."""
    answers = hear_all(parts, deadline_s)
    return {name: answer for name, answer in answers.items() if not isinstance(answer, Away)}


def hear_all(parts: list[Part], deadline_s: float) -> dict[str, Any]:
    """Name → answer of each part, or Away. Never raises, and takes no longer than the deadline."""
    until = time.monotonic() + deadline_s
    asked = [(part, part.ask()) for part in parts]
    return {part.name: _hear(part, future, until) for part, future in asked}


def _hear(part: Part, asked: Future[Any], until_s: float) -> Any:
    try:
        answer = asked.result(max(until_s - time.monotonic(), 0.0))
        part.note(None)
        return answer
    except TimeoutError:
        why = _LATE
    except Exception as error:
        why = str(error) or type(error).__name__
    part.note(why)
    return Away(why)
