"""The unmodified KubernetesPodOperator against the runner, in Airflow's own dag.test(), synchronous and deferred.

All DAGs run in one process, one after the other, as starting Airflow costs more than they do. In the last two the
runner is killed while the pod runs.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from local_stack.pod_runner.testing import RunningPodRunner

DAGS = Path(__file__).parent / "dags"
DEADLINE_S = 150.0


class Run:
    """One run of all DAGs: its log, its results, and the runner that served it."""

    def __init__(self, home: Path, runner: RunningPodRunner) -> None:
        self.home = home
        self.runner = runner
        self._log = home / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._env = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_KUBERNETES_DEFAULT": runner.airflow_connection_json,
        }

    def start(self) -> None:
        migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
        subprocess.run(migrate, env=self._env, check=True, capture_output=True, timeout=DEADLINE_S)
        command = [sys.executable, str(DAGS / "pod_runner_dags.py"), str(self.home)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, env=self._env, stdout=log, stderr=log)

    def log(self, dag_id: str = "") -> str:
        """Return the whole log, or what follows the creation of a DAG's run."""
        text = self._log.read_text()
        return text.partition(f"dagrun=<DagRun {dag_id} @")[2] if dag_id else text

    def wait_for(self, condition: Callable[[], Any]) -> None:
        assert self._process is not None
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"the condition did not come true:\n{self.log()[-5000:]}"
            assert self._process.poll() in (None, 0), self.log()[-5000:]
            time.sleep(0.1)

    def pods(self, dag_id: str) -> list[Any]:
        api = client.CoreV1Api(config.new_client_from_config_dict(self.runner.kubeconfig))
        return list(api.list_namespaced_pod(self.runner.namespace, label_selector=f"dag_id={dag_id}").items)

    def state(self, dag_id: str) -> str:
        return (self.home / dag_id).read_text()

    def end(self) -> None:
        self.wait_for(lambda: self._process and self._process.poll() == 0)

    def abort(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder, gates = tmp_path_factory.mktemp("runner"), tmp_path_factory.mktemp("gates")
    images = {"shell:dev": {"cwd": str(folder), "env": {"GATES": str(gates)}}}
    with RunningPodRunner(folder, images) as runner:
        run = Run(tmp_path_factory.mktemp("airflow"), runner)
        try:
            run.start()
            _crash_and_let_the_operator_return(run, gates)
            _crash_and_let_the_pod_end_meanwhile(run, gates)
            run.end()
            yield run
        finally:
            run.abort()


def _crash_and_let_the_operator_return(run: Run, gates: Path) -> None:
    def heard() -> int:
        return run.log("sync_crash").count("[base] waiting")

    run.wait_for(lambda: heard() > 2)
    run.runner.kill()
    run.runner.start()
    before = heard()
    run.wait_for(lambda: heard() > before + 3)
    (gates / "sync_crash").touch()


def _crash_and_let_the_pod_end_meanwhile(run: Run, gates: Path) -> None:
    run.wait_for(lambda: "Pod has reached Running phase" in run.log("deferred_crash"))
    run.runner.kill()
    (gates / "deferred_crash").touch()
    run.runner.start()


@pytest.mark.parametrize(
    ("dag_id", "state"),
    [
        ("sync_success", "success"),
        ("sync_failure", "failed"),
        ("deferred_success", "success"),
        ("deferred_failure", "failed"),
        ("refused", "failed"),
        ("sync_crash", "success"),
        ("deferred_crash", "failed"),
    ],
)
def test_the_task_ends_as_the_pod(run: Run, dag_id: str, state: str) -> None:
    assert run.state(dag_id) == state


@pytest.mark.parametrize(
    ("dag_id", "line"),
    [
        ("sync_success", "[base] hello from sync_success"),
        ("sync_success", "[base] no newline"),
        ("sync_failure", "[base] hello from sync_failure"),
        ("sync_failure", "exit_code=3, message='hello from sync_failure"),
        ("sync_failure", "Pod Event: Scheduled - Successfully assigned to this machine"),
        ("deferred_success", "[base] hello from deferred_success"),
        ("deferred_failure", "[base] logs: hello from deferred_failure"),
        ("refused", "spec.nodeSelector: the local pod runner does not implement this field"),
        ("sync_crash", "[base] after sync_crash"),
        ("deferred_crash", "[base] logs: after deferred_crash"),
    ],
)
def test_the_pods_words_are_in_the_tasks_log(run: Run, dag_id: str, line: str) -> None:
    assert line in run.log(dag_id)


@pytest.mark.parametrize(
    ("dag_id", "exit_code"), [("sync_failure", 3), ("deferred_failure", 3), ("sync_crash", 0), ("deferred_crash", 3)]
)
def test_kept_pods_tell_their_exit_code(run: Run, dag_id: str, exit_code: int) -> None:
    (pod,) = run.pods(dag_id)
    assert pod.status.container_statuses[0].state.terminated.exit_code == exit_code
    assert pod.metadata.labels["already_checked"] == "True"


def test_other_pods_are_deleted_by_the_operator(run: Run) -> None:
    assert run.pods("sync_success") == run.pods("deferred_success") == run.pods("refused") == []


def test_the_token_is_in_no_log(run: Run) -> None:
    assert run.runner.token not in run.log()
