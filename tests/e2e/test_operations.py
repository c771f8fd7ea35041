"""The stack as its operator sees it: status, Airflow's run and its log, secrets, bad settings, stop and start again."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import httpx
import pytest
import redis

from local_stack.airflow_api import AirflowApi
from local_stack.components.kafka import PARTITIONS
from local_stack.processes import is_running, marked
from local_stack.stack import COMPONENTS
from local_stack.up import source_position
from tests.e2e.conftest import V
from tests.servers import wait_until
from tests.stack import Stack


def test_status_names_every_part_and_the_counts(stack: Stack) -> None:
    report = stack.status()
    assert report["parts"].keys() == {component.name for component in COMPONENTS}
    assert {part["state"] for part in report["parts"].values()} == {"RUNNING"}
    found = marked(str(stack.home))
    for name, part in report["parts"].items():
        assert part["pid"] in found, f"{name} hides its mark, so that it could be left behind"
    assert stack.processes() - found <= {_supervisor(stack)}
    counts = report["counts"]
    assert (counts["feed_phase"], counts["freshness"]) == ("live", "ok")
    assert counts["kafka_lag"] <= 2 * PARTITIONS, "canaries are always under way"
    assert 0 <= counts["freshness_s"] < 5
    assert counts["source_rows"] == counts["keys"] + counts["dead_letters"]


def _supervisor(stack: Stack) -> int:
    return int((stack.home / "run" / "supervisord.pid").read_text())


def test_airflow_watches_the_job_and_shows_the_pods_log(stack: Stack) -> None:
    airflow = AirflowApi(stack.instance)
    run = airflow.runs("stream_instruments")[0]["dag_run_id"]

    def states() -> dict[str, str]:
        return {task["task_id"]: task["state"] for task in airflow.task_instances("stream_instruments", run)}

    wait_until(lambda: states()["watch_job"] == "deferred", 60, what="a deferred watch")
    assert states()["ensure_job"] == "success"
    log = airflow.task_log("stream_instruments", run, "ensure_job")
    assert "job_started" in log or "job_recognised" in log


def test_the_watchdog_runs_each_minute_and_leaves_a_healthy_stream_alone(stack: Stack) -> None:
    airflow = AirflowApi(stack.instance)
    wait_until(lambda: airflow.runs("stream_watchdog", "success"), 150, what="a run of the watchdog")
    assert len(airflow.runs("stream_instruments", "running", "queued")) == 1
    assert len(stack.jobs()) == 1


def test_secrets_are_private_and_asked_for(stack: Stack) -> None:
    for path in (stack.home / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=stack.instance.port("redis")).get("x")
    assert httpx.get(stack.instance.url("airflow") + "/api/v2/dags").status_code == 401
    for port in ("simulator", "pod-runner"):
        assert httpx.get(stack.instance.url(port) + "/api/v1/namespaces/x/pods").status_code == 401


def test_every_port_listens_on_loopback_only(stack: Stack) -> None:
    wanted = {f"{stack.instance.port(port):04X}" for component in COMPONENTS for port in component.ports}
    loopback = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, _, port = line.split()[1].partition(":")
            if line.split()[3] == "0A" and port in wanted:
                assert address in loopback, f"port {int(port, 16)} listens on {address}"


def test_up_again_is_quick_and_changes_nothing(stack: Stack, data_file: Path) -> None:
    job, position = stack.jobs(), source_position(stack.source)
    started = time.monotonic()
    stack.up("--data", str(data_file))
    assert time.monotonic() - started < 60
    assert (stack.jobs(), source_position(stack.source)) == (job, position)


def test_what_cannot_be_done_is_one_sentence_with_the_way_out(stack: Stack, tmp_path: Path) -> None:
    other = {"ICACHE_HOME": str(tmp_path / "other")}
    taken = stack.cli("up", **other)
    assert taken.returncode == 1
    assert "is taken by another program" in taken.stderr
    assert "ICACHE_PORT_OFFSET" in taken.stderr
    stack.cli("down", **other)
    for arguments, environment, words in (
        (("up",), {"ICACHE_PORT_OFFSET": "many"}, "ICACHE_PORT_OFFSET is 'many'"),
        (("up", "--data", "/no/such/file"), {}, "does not exist"),
        (("load", "/no/such/file.ndjson"), {}, "does not exist"),
        (("load", str(PROJECT_FILE)), {}, "unknown ending"),
        (("logs", "nonsense"), {}, "there is no part 'nonsense'"),
        (("up",), {"PATH": str(tmp_path)}, "is not installed"),
        (("generate", "--rows", "1"), {"ICACHE_HOME": str(tmp_path / "none")}, "there is no stack"),
    ):
        done = stack.cli(*arguments, **environment)
        assert done.returncode != 0, arguments
        assert words in " ".join(done.stderr.split()), done.stderr
        assert "Traceback" not in done.stderr


PROJECT_FILE = Path(__file__)


def test_a_stopped_stream_stays_stopped_and_goes_on_from_its_savepoint(stack: Stack) -> None:
    airflow = AirflowApi(stack.instance)
    run = airflow.trigger("stream_stop", "test")
    wait_until(lambda: _state(airflow, "stream_stop", run) == "success", 150, what="stream_stop")
    assert stack.jobs() == []
    wait_until(lambda: not airflow.runs("stream_instruments", "running", "queued"), 60, what="the end of the watch")
    stack.source.publish([json.dumps({"cusip": "037833100", "name": "while stopped", "last_updated": V + 1}).encode()])
    watched = len(airflow.runs("stream_watchdog", "success"))
    wait_until(lambda: len(airflow.runs("stream_watchdog", "success")) >= watched + 1, 150, what="the watchdog")
    assert stack.jobs() == []

    run = airflow.trigger("stream_instruments", "test")
    stack.settle()
    log = airflow.task_log("stream_instruments", run, "ensure_job")
    assert "savepoints/" in log
    assert stack.get("/v1/instruments/037833100").json()["name"] == "while stopped"
    stack.assert_equal_to_source()


def _state(airflow: AirflowApi, dag: str, run: str) -> str:
    return next(found["state"] for found in airflow.runs(dag) if found["dag_run_id"] == run)


def test_restart_and_logs(stack: Stack) -> None:
    pid = stack.status()["parts"]["lookup"]["pid"]
    assert stack.cli("restart", "lookup").returncode == 0
    assert stack.status()["parts"]["lookup"]["pid"] != pid
    assert "snapshot_sent" in stack.cli("logs", "feed").stdout


def test_down_leaves_no_process_and_up_goes_on_where_it_was(stack: Stack) -> None:
    before, processes = stack.cached(), stack.processes()
    assert len(processes) > len(COMPONENTS)
    started = time.monotonic()
    assert stack.cli("down").returncode == 0
    assert time.monotonic() - started < 30
    assert [pid for pid in processes if is_running(pid)] == []
    started = time.monotonic()
    stack.up()
    # An idle machine needs a minute. What must not be is an `up` that waits for what does not come.
    assert time.monotonic() - started < 240
    stack.settle()
    assert stack.cached() == before
    stack.assert_equal_to_source()
