"""When an operation runs by itself: as its DAG says, or as a setting says instead."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final

from airflow.timetables.trigger import CronTriggerTimetable

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment, environment

if TYPE_CHECKING:
    from datetime import datetime

_LOOKED_AT: Final = 100
# Airflow works out when a first run is due each time that it reads the file. If it reads it between that time and the
# scheduler's look, the run would be lost, and with it a day or a week.
_FIRST_RUN_LATE: Final = timedelta(minutes=3)
_SELDOM_S: Final = 12 * 3600


def setting_of(dag_id: str) -> str:
    """The setting that names another time."""
    return "_".join(("ICACHE", "SCHEDULE", dag_id.upper()))


def schedule_of(dag_id: str, default: str, env: Environment | None = None) -> CronTriggerTimetable:
    """A cron expression of five fields, in UTC. Raises SettingsError: Airflow then shows it as an import error."""
    name = setting_of(dag_id)
    expression = (env or environment()).text(name, default)
    timetable = _timetable(expression, timedelta())
    try:
        timetable.validate()
        if len(expression.split()) != 5:
            raise ValueError("it has another number of fields")
    except Exception as error:
        rule = f"it must be a cron expression of five fields, such as {default!r}"
        raise SettingsError(f"{name} is {expression!r}; {rule} ({error})") from None
    return _timetable(expression, _FIRST_RUN_LATE) if _longest_pause_s(timetable) >= _SELDOM_S else timetable


def _timetable(expression: str, first_run_late: timedelta) -> CronTriggerTimetable:
    """Without a start date the first run waits for its time, or begins at most so late."""
    return CronTriggerTimetable(expression, timezone="UTC", run_immediately=first_run_late)


def longest_pause_s(dag_id: str, env: Environment | None = None) -> float:
    """Seconds between two runs, if a setting says when the operation runs; else 0. Raises SettingsError."""
    if not (given := (env or environment()).variables.get(setting_of(dag_id))):
        return 0.0
    return _longest_pause_s(schedule_of(dag_id, given, env))


def _longest_pause_s(timetable: CronTriggerTimetable) -> float:
    times = islice(_times(timetable), _LOOKED_AT)
    return max(((after - before).total_seconds() for before, after in pairwise(times)), default=0.0)


def _times(timetable: CronTriggerTimetable) -> Iterator[datetime]:
    """Its next runs."""
    import pendulum
    from airflow.timetables.base import DataInterval, TimeRestriction

    restriction, last = TimeRestriction(earliest=pendulum.now("UTC"), latest=None, catchup=True), None
    while (info := timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)) is not None:
        yield info.run_after
        last = DataInterval.exact(info.run_after)
