"""An operation that did not happen is an alarm too: how long each may be without a green run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from instrument_cache.alerts.incidents import Incidents
from instrument_cache.overview.words import span_text

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
# Operation → tier, and seconds without a green run. Three turns of what runs often; a weekly one has a day's grace.
DEADLINES: Final[Mapping[str, tuple[int, int]]] = {
    "stream_watchdog": (1, 10 * _MINUTE),
    "reconcile_after_gap": (3, 40 * _MINUTE),
    "cache_backup": (1, 50 * _MINUTE),
    "cache_reconcile": (2, 3 * _HOUR),
    "dead_letter_archive": (3, 4 * _HOUR),
    "data_quality": (2, 4 * _HOUR),
    "slo_report": (3, 2 * _DAY),
    "audit_verify": (3, 2 * _DAY),
    "retention": (3, 2 * _DAY),
    "capacity_report": (3, 8 * _DAY),
    "readiness_score": (3, 8 * _DAY),
    "failover_drill": (3, 8 * _DAY),
    "dr_drill": (3, 8 * _DAY),
    "secret_rotation": (3, 33 * _DAY),
}


class Overdue(NamedTuple):
    """An operation that was not green in time, and the sentence that says so."""

    operation: str
    tier: int
    sentence: str


def overdue(
    incidents: Incidents, known: frozenset[str], now_us: int, pauses_s: Mapping[str, float] | None = None
) -> Iterator[Overdue]:
    """Those of `known` (the operations that this deployment has) that are late. One is watched from the first look on.

    `pauses_s`: operation → seconds between two runs, of those that run at other times than by default. Raises
    StoreUnavailable.
    """
    watched = {name: DEADLINES[name] for name in DEADLINES if name in known}
    for name in watched:
        incidents.begin_to_watch(name, now_us)
    green_us = incidents.green_at_us()
    for name, (tier, default_s) in watched.items():
        limit_s = max(default_s, _turns_s((pauses_s or {}).get(name, 0.0)))
        silent_s = (now_us - green_us.get(name, now_us)) / 1e6
        if silent_s > limit_s:
            late = f"No run of {name} was green for {span_text(silent_s)} (limit {span_text(limit_s)})."
            yield Overdue(name, tier, f"{late} Is it switched on, and is the scheduler up?")


def _turns_s(pause_s: float) -> float:
    """Three turns, or of what runs seldom one with a day's grace."""
    return min(3 * pause_s, pause_s + _DAY)
