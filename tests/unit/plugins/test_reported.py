"""The last task of stream_upgrade: it shows what the pod of its run reported, and turns red with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache.objects_memory import MemoryObjects
from instrument_cache.reports import Report, publish
from instrument_cache_airflow.reported import summary_of
from tests.servers import free_port, redis_server
from tests.unit.plugins.airflow_env import PROJECT


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    with redis_server(tmp_path, free_port(), "secret") as url:
        monkeypatch.setenv("ICACHE_REDIS_URL", url)
        yield redis.Redis.from_url(url)


def reported(client: redis.Redis, run_id: str, sentence: str, *, ok: bool) -> None:
    now = "2026-01-01T04:00:00+00:00"
    publish(MemoryObjects(), client, Report("instruments", "stream_upgrade", run_id, now, now, ok, sentence))


def judge(run_id: str) -> str:
    bag = DagBag(str(PROJECT / "dags" / "stream_upgrade.py"))
    task: Any = bag.dags["stream_upgrade"].get_task("judge")
    return str(task.python_callable(run_id=run_id))


def test_a_good_release_is_green(client: redis.Redis) -> None:
    reported(client, "run-1", "release 2 runs", ok=True)
    assert judge("run-1") == "release 2 runs"


def test_a_release_that_was_given_up_is_red(client: redis.Redis) -> None:
    reported(client, "run-1", "release 2 was given up and the one before runs again: it raised", ok=False)
    with pytest.raises(AirflowFailException, match="was given up and the one before runs again: it raised"):
        judge("run-1")


def test_the_report_of_another_run_is_none(client: redis.Redis) -> None:
    with pytest.raises(AirflowFailException, match="There is no report of run-2"):
        summary_of("stream_upgrade", "run-2")
    reported(client, "run-1", "release 2 runs", ok=True)
    with pytest.raises(AirflowFailException, match="There is no report of run-2"):
        summary_of("stream_upgrade", "run-2")
