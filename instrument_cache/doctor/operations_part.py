"""The operations: which broke off, failed, wait for a person, or are under way for very long.

Their reports say how runs ended; this says what goes wrong while they have not ended yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from instrument_cache.connections import redis_client
from instrument_cache.doctor.model import Finding
from instrument_cache.doctor.text import duration
from instrument_cache.settings import Environment, redis_url
from instrument_cache.under_way import SILENT_S, Told, Trouble, read_under_way

NAME: Final = "operations"
# What nobody has mended is told for so long, and what is over for some minutes.
_OPEN_S: Final = 3600.0
_OVER_S: Final = 300.0
# The longest of them takes some minutes.
_LONG_S: Final = 3600.0


class _Mend(NamedTuple):
    """What does the operation again by hand, and the page that tells of it."""

    command: str
    runbook: str


_MENDS: Final[Mapping[str, _Mend]] = {
    "reconcile": _Mend("icache reconcile", "cache_reconcile"),
    "backup": _Mend("icache backup run", "cache_backup"),
    "restore": _Mend("trigger cache_restore", "cache_restore"),
    "failover_drill": _Mend("trigger failover_drill", "failover_drill"),
    "dr_drill": _Mend("trigger dr_drill", "dr_drill"),
    "dead_letter_archive": _Mend("icache dlq archive", "dead_letter_archive"),
    "secret_rotation": _Mend("trigger secret_rotation", "secret_rotation"),
}


def look_at_operations(env: Environment) -> Iterator[Finding]:
    """Everything that went wrong lately; one finding if nothing did."""
    dataset = env.text("ICACHE_DATASET", "instruments")
    told = read_under_way(redis_client(redis_url(env), name="doctor", timeout_s=3.0), dataset)
    found = [finding for operation, each in told.items() for finding in _of(operation, each)]
    yield from found
    if not found:
        at_work = [f"{operation} ({each.record.step})" for operation, each in told.items() if each.record.is_open]
        yield Finding(NAME, "ok", f"none broke off or failed lately; under way: {', '.join(at_work) or 'none'}")


def _of(operation: str, told: Told) -> Iterator[Finding]:
    record, since_s = told.record, (told.now_ms - told.record.since_ms) / 1000
    if record.is_open and not told.is_heard and since_s < _OPEN_S:
        yield _broke_off(operation, record.run_id, record.step, f"nothing was heard of it for {duration(SILENT_S)}")
    elif record.is_open and told.is_heard and since_s > _LONG_S:
        yield _long(operation, told, since_s)
    for trouble in record.troubles.values():
        ago_s = max(told.now_ms - trouble.at_ms, 0) / 1000
        if ago_s < (_OVER_S if trouble.is_over else _OPEN_S):
            yield _told(operation, trouble, duration(ago_s))


def _told(operation: str, trouble: Trouble, ago: str) -> Finding:
    run_id, step = trouble.run_id, trouble.step
    after = "it has gone on since" if trouble.is_over else "it has not ended well since"
    if trouble.kind == "broke_off":
        return _broke_off(operation, run_id, step, f"another try began {ago} ago; {after}")
    if trouble.kind == "asks":
        return _asks(operation, trouble, ago)
    if trouble.kind == "clock":
        return _clock(operation, trouble, ago)
    if trouble.kind == "orphaned":
        return _orphaned(operation, trouble, ago)
    sentence = f"{operation} of run {run_id!r} failed in {step} {ago} ago; {after}: {trouble.text}"
    return _finding(operation, sentence, "see the sentence itself: what it names is away, or refuses it")


def _broke_off(operation: str, run_id: str, step: str, what: str) -> Finding:
    sentence = f"{operation} of run {run_id!r} broke off in {step}, its process ended without a word: {what}"
    return _finding(operation, sentence, "it was killed, out of memory, or its machine is gone or hangs")


def _asks(operation: str, trouble: Trouble, ago: str) -> Finding:
    waits = "asked a person" if trouble.is_over else "waits for a person, asked"
    sentence = f"{operation} of run {trouble.run_id!r} {waits} {ago} ago after {trouble.step}: {trouble.text}"
    why = "it would do more than it may do without being asked; an answer that does not come counts as no"
    mend = "look at its reasons; then approve or reject it in Airflow (Browse → Required Actions)"
    return Finding(NAME, "warn", sentence, why, mend, _mend(operation).runbook)


def _clock(operation: str, trouble: Trouble, ago: str) -> Finding:
    return Finding(
        NAME,
        "warn",
        f"the clock of whoever ran {operation} {ago} ago (run {trouble.run_id!r}) is {trouble.text} Redis's",
        "a worker has lost its time server: the moments in its reports are wrong by as much",
        "chronyc tracking (or timedatectl) on the workers",
        _mend(operation).runbook,
    )


def _orphaned(operation: str, trouble: Trouble, ago: str) -> Finding:
    ended = f"{operation} of run {trouble.run_id!r} ended {trouble.step} well {ago} ago"
    sentence = f"{ended}, but who had started it was gone by then"
    why = "the worker of Airflow's executor was killed: Airflow misses it after some minutes, and does the step again"
    return _finding(operation, sentence, why)


def _long(operation: str, told: Told, since_s: float) -> Finding:
    sentence = f"{operation} of run {told.record.run_id!r} is in {told.record.step} for {duration(since_s)}"
    return _finding(operation, sentence, "what it works with is slow, or hangs")


def _finding(operation: str, sentence: str, why: str) -> Finding:
    mend = f"nothing if it is tried again (Airflow does so); else {_mend(operation).command}"
    return Finding(NAME, "warn", sentence, why, mend, _mend(operation).runbook)


def _mend(operation: str) -> _Mend:
    return _MENDS.get(operation, _Mend(f"trigger {operation} again", ""))
