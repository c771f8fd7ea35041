"""`dag.test()` of the three reports about the product itself, with a real Redis and S3, in one Airflow database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from instrument_cache.drills.trend import earlier_reports
from instrument_cache.objects import ObjectStore
from instrument_cache.reports import Report
from instrument_cache.settings import Environment, s3_settings
from instrument_cache.slo.sample import Sample, SampleLog
from local_stack.instance import DATASET, Instance
from tests.integration.airflow_home import AirflowHome
from tests.servers import free_port_offset, stack_component

GREEN = {"assess": "success", "judge": "success"}
RED = {"assess": "success", "judge": "failed"}


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    home, offset = tmp_path_factory.mktemp("parts"), free_port_offset()
    with ExitStack() as stack:
        for name in ("redis", "s3"):
            stack.enter_context(stack_component(name, home, offset))
        yield Instance(home, Instance.from_environment().tools, offset)


@pytest.mark.timeout(500)
def test_the_reports_are_made_and_their_judges_are_red_when_they_should(
    instance: Instance, migrated: AirflowHome, tmp_path: Path
) -> None:
    # Parts that are not there are not waited for.
    env = Environment({**instance.settings(), "ICACHE_DOCTOR_DEADLINE_S": "6"})
    _measured(SampleLog(redis.Redis.from_url(instance.redis_url), DATASET))
    home = migrated.copy(tmp_path, **env.variables)

    outcome = home.run_dag("slo_report")
    assert (outcome.state, outcome.tasks) == ("success", GREEN), outcome.log
    slo = _newest(env, "slo_report")
    assert slo.numbers["budget_left_min_percent"] == pytest.approx(100 * (1 - 1 / 432), abs=0.01)
    assert slo.numbers["measured_minutes"] == 7201

    outcome = home.run_dag("capacity_report", conf={"horizon_days": 20})
    assert (outcome.state, outcome.tasks) == ("failed", RED), outcome.log
    capacity = _newest(env, "capacity_report")
    assert capacity.numbers["days_left"] == pytest.approx(10, abs=0.3)
    assert capacity.sentence in outcome.log

    outcome = home.run_dag("readiness_score")
    assert (outcome.state, outcome.tasks) == ("failed", RED), outcome.log
    ready = _newest(env, "readiness_score")
    checks = {check["name"]: check for check in ready.details["checks"]}
    assert 0 < ready.numbers["score_percent"] < 95
    assert (checks["redis"]["passed"], checks["kafka"]["passed"], checks["slo_report"]["passed"]) == (True, False, True)
    assert all(check["fix"] for check in checks.values() if check["passed"] is False)


def _measured(log: SampleLog) -> None:
    """Five days of minutes, one of them not fresh; 100 MB at first, 20 MB more each day, and a limit of 400 MB."""
    now_s = int(time.time()) // 60 * 60
    for minute in range(7201):
        at_s = now_s - 60 * (7200 - minute)
        memory = 100_000_000 + 20_000_000 * minute // 1440
        log.add(Sample(at_s=at_s, fresh=minute != 100, keys=1000, memory_bytes=memory, memory_bytes_max=400_000_000))


def _newest(env: Environment, operation: str) -> Report:
    return earlier_reports(ObjectStore(s3_settings(env)), DATASET, operation)[-1]
