"""Asks all parts at the same time, each within the deadline: one that hangs holds nobody up, and is a finding."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Final

from instrument_cache.asking.parts import Part
from instrument_cache.doctor.model import Finding
from instrument_cache.errors import (
    InstrumentCacheError,
    LogUnavailable,
    ObjectStoreUnavailable,
    SettingsError,
    SourceUnavailable,
    StoreUnavailable,
)
from instrument_cache.flink_rest import FlinkUnavailable

# Whose absence it is when a part cannot tell because of another one.
_AWAY: Final = {
    StoreUnavailable: "Redis",
    LogUnavailable: "Kafka",
    ObjectStoreUnavailable: "S3",
    FlinkUnavailable: "Flink",
    SourceUnavailable: "the source",
}


def part_of(name: str, look: Callable[..., Iterable[Finding]], *arguments: Any) -> Part:
    """A part of that name; `look(*arguments)` tells how it is."""
    return Part(name, lambda: list(look(*arguments)))


def ask_all(parts: Sequence[Part], deadline_s: float) -> list[Finding]:
    """What all parts say, in their order. Never raises."""
    until = time.monotonic() + deadline_s
    asked = [(part, part.ask()) for part in parts]
    return [finding for part, future in asked for finding in _answer(part, future, until, deadline_s)]


def _answer(part: Part, future: Future[list[Finding]], until: float, deadline_s: float) -> list[Finding]:
    try:
        return future.result(max(until - time.monotonic(), 0.0))
    except TimeoutError:
        return [_hangs(part.name, deadline_s)]
    except InstrumentCacheError as error:
        return [_failed(part.name, error)]
    except Exception as error:
        return [_broken(part.name, error)]


def _hangs(name: str, deadline_s: float) -> Finding:
    return Finding(
        name,
        "red",
        f"{name} has not answered within {deadline_s:g} s",
        "it accepts the question and hangs: it is overloaded, stopped (SIGSTOP), or the network swallows packets",
        "icache status; then icache restart the part that hangs",
    )


def _failed(name: str, error: InstrumentCacheError) -> Finding:
    if isinstance(error, SettingsError):
        return Finding(name, "red", str(error), "a setting is missing or wrong", "set it as docs/settings.md says")
    for kind, other in _AWAY.items():
        if isinstance(error, kind):
            return Finding(name, "warn", f"cannot be told: {error}", f"{other} is needed for it", f"mend {other} first")
    return Finding(name, "red", str(error), "see the sentence itself")


def _broken(name: str, error: Exception) -> Finding:
    return Finding(
        name,
        "red",
        f"the question to {name} failed: {type(error).__name__}: {error}",
        "the part answered with something that was not expected: another version, or a fault of this program",
        "icache logs NAME of that part",
    )
