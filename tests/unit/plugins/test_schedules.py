"""When operations run by themselves: as their DAGs say, or as the settings say instead."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from airflow.timetables.base import TimeRestriction

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment
from instrument_cache_airflow.schedules import longest_pause_s, schedule_of, setting_of
from local_stack.instance import CHOSEN
from tests.unit.docs.pages import DOCS, sections
from tests.unit.plugins.airflow_env import PROJECT

HOUR_S = timedelta(hours=1).total_seconds()
# DAG → the time that stands in its file.
DEFAULTS = {
    found[1]: found[2]
    for path in (PROJECT / "dags").glob("*.py")
    if (found := re.search(r'schedule_of\("(\w+)", "([^"]+)"\)', path.read_text(encoding="utf-8")))
}


def env(value: str) -> Environment:
    return Environment({"ICACHE_SCHEDULE_RETENTION": value})


def test_a_setting_counts_and_an_empty_one_does_not() -> None:
    assert schedule_of("retention", "40 3 * * *", env("*/5 * * * *")).summary == "*/5 * * * *"
    assert schedule_of("retention", "40 3 * * *", env("")).summary == "40 3 * * *"


@pytest.mark.parametrize("wrong", ["at noon", "61 * * * *", "* * * * * *", "* * *", "<script>"])
def test_what_is_no_time_is_named_with_the_rule(wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"ICACHE_SCHEDULE_RETENTION is .* five fields, such as '40 3"):
        schedule_of("retention", "40 3 * * *", env(wrong))


def test_the_longest_pause_is_that_of_the_setting() -> None:
    assert longest_pause_s("retention", Environment({})) == 0.0
    assert longest_pause_s("retention", env("0 */6 * * *")) == 6 * HOUR_S
    assert longest_pause_s("retention", env("0 8,18 * * *")) == 14 * HOUR_S


def first_run(expression: str) -> datetime:
    """When the scheduler begins the first run, if the file is read now."""
    free = TimeRestriction(earliest=None, latest=None, catchup=False)
    timetable = schedule_of("retention", expression, Environment({}))
    info = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=free)
    assert info is not None
    return info.run_after


def test_a_first_run_that_is_seldom_is_not_lost_if_its_file_is_read_at_its_time() -> None:
    now = datetime.now(UTC)
    long_ago = now - timedelta(minutes=30)
    assert first_run(f"{now.minute} {now.hour} * * *") <= now
    assert first_run(f"{now.minute} {now.hour} * * {now.isoweekday() % 7}") <= now
    assert first_run(f"{long_ago.minute} {long_ago.hour} * * *") > now
    assert first_run(f"{now.minute} * * * *") > now, "the next one comes soon enough"


def test_every_operation_with_a_time_has_its_setting_on_a_laptop_and_in_the_documentation() -> None:
    assert len(DEFAULTS) > 5
    documented = sections(DOCS / "settings.md", level=3)
    assert {setting_of(dag_id) for dag_id in DEFAULTS} == {name for name in CHOSEN if "SCHEDULE" in name}
    for dag_id, default in DEFAULTS.items():
        assert f"- Default: `{default}`\n" in documented[setting_of(dag_id)]
