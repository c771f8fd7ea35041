"""`secret_rotation` and `icache secrets` on parts of the laptop stack: a dry run, a rotation, a roll back."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from instrument_cache.audit.service import Audit
from instrument_cache.connections import redis_client
from instrument_cache.drills.trend import earlier_reports
from instrument_cache.objects import ObjectStore
from instrument_cache.reports import Report
from instrument_cache.settings import Environment, redis_url, s3_settings
from local_stack.instance import DATASET, PROJECT, Instance
from tests.integration.airflow_home import AirflowHome
from tests.servers import stack_parts

ALL = ("plan", "switch", "finish", "report")
NAME = "redis:default"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with stack_parts(tmp_path_factory.mktemp("parts"), "redis", "s3", "s3-second") as made:
        yield made


def newest(env: Environment) -> Report:
    return earlier_reports(ObjectStore(s3_settings(env)), DATASET, "secret_rotation")[-1]


@pytest.mark.timeout(400)
def test_the_dag_and_the_command(instance: Instance, migrated: AirflowHome, tmp_path: Path) -> None:
    env = Environment({**instance.settings(), "ICACHE_ROTATION_GRACE_S": "0", "ICACHE_ROTATION_WATCH_S": "1"})
    connected = redis_client(redis_url(env), name="consumer")
    connected.ping()
    first = instance.secret("redis_password")
    home = migrated.copy(tmp_path, **env.variables)

    outcome = home.run_dag("secret_rotation", conf={"secrets": [NAME]})
    assert (outcome.state, outcome.tasks) == ("success", dict.fromkeys(ALL, "success")), outcome.log
    second = instance.secret("redis_password")
    assert second != first
    report = newest(env)
    assert (report.ok, report.sentence) == (True, "1 of 1 secrets rotated")
    assert connected.ping()
    assert redis_client(redis_url(env), name="another").ping()

    begun = icache(instance, "rotate", "--no-wait")
    assert "being rotated" in begun
    third = instance.secret("redis_password")
    back = home.run_dag("secret_rotation", conf={"roll_back": True})
    assert back.state == "success", back.log
    assert instance.secret("redis_password") == second
    assert newest(env).sentence == "1 of 1 secrets rolled back"

    dry = icache(instance, "rotate", "--dry-run", "--json")
    made = icache(instance, "rotate", NAME, "--json")
    fourth = instance.secret("redis_password")
    assert (json.loads(made)["ok"], fourth not in (first, second, third)) == (True, True)
    told = icache(instance, "status")
    assert "nothing is under way" in told
    assert "nothing is under way" in dry
    assert [entry.kind for entry in Audit(env).entries()] == ["secret_rotation"] * 3
    shown = told + begun + outcome.log + back.log + made + dry + str(newest(env))
    assert not [secret for secret in (first, second, third, fourth) if secret in shown]


def icache(instance: Instance, *arguments: str) -> str:
    own = {"ICACHE_HOME": str(instance.home), "ICACHE_PORT_OFFSET": str(instance.port_offset)}
    done = subprocess.run(
        [str(PROJECT / "icache"), "secrets", *arguments],
        env={**os.environ, "ICACHE_TOOLS": str(instance.tools), **own},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
