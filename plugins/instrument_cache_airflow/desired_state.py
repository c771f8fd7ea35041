"""Whether the stream should run: one Airflow Variable that DAGs and people set, and the time of the last stop.

`stream_instruments_desired` is `running` or `stopped`; unset means running. A run that was asked for before the last
stop must not undo it, however late it starts: that is what `stream_instruments_stopped_at` is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowSkipException

DESIRED: Final = "stream_instruments_desired"
STOPPED_AT: Final = "stream_instruments_stopped_at"
RUNNING: Final = "running"
STOPPED: Final = "stopped"
WATCHDOG: Final = "stream_watchdog"


def is_stopped() -> bool:
    """True if the stream should stand still. Raises ValueError if the Variable holds neither of the two words."""
    value = str(Variable.get(DESIRED, default=RUNNING)).strip().lower()
    if value not in (RUNNING, STOPPED):
        raise ValueError(f"the Airflow Variable {DESIRED} is {value!r}; set it to {RUNNING!r} or {STOPPED!r}")
    return value == STOPPED


def want_running(asked_at: datetime, conf: Mapping[str, Any] | None) -> None:
    """Make "running" the wanted state for a run that was asked for at `asked_at`.

    Raises AirflowSkipException if the stream was stopped since then, or if only the watchdog asked: it restores the
    wanted state and never changes it.
    """
    if is_stopped():
        if (conf or {}).get("asked_by") == WATCHDOG:
            raise AirflowSkipException("The stream was stopped while the watchdog started this run: nothing to do.")
        stopped_at = _stopped_at()
        if stopped_at is not None and asked_at <= stopped_at:
            raise AirflowSkipException(f"The stream was stopped at {stopped_at}, after this run was asked for.")
    Variable.set(DESIRED, RUNNING)


def want_stopped(now: datetime) -> None:
    """Make "stopped" the wanted state from `now` on."""
    Variable.set(STOPPED_AT, now.isoformat())
    Variable.set(DESIRED, STOPPED)


def _stopped_at() -> datetime | None:
    text = Variable.get(STOPPED_AT, default=None)
    return datetime.fromisoformat(text) if text else None
