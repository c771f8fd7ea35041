"""An Airflow home of its own with a migrated SQLite database, and `dag.test()` of the project's DAGs in it.

`dag.test()` runs in a process of its own: Airflow reads its configuration once per process.

    home = AirflowHome(folder, AIRFLOW_CONN_KUBERNETES_DEFAULT=…, ICACHE_FLINK_URL=…)
    home.migrate()
    outcome = home.run_dag("stream_stop")
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = "tests.integration.run_dag"


@dataclass(frozen=True)
class Outcome:
    """What a run of a DAG came to. `runs` are the runs of every DAG: {"dag_id", "run_id", "state", "conf", "note"}."""

    state: str
    tasks: dict[str, str | None]
    variables: dict[str, str]
    runs: list[dict[str, Any]]
    log: str


class RunningDag:
    """`dag.test()` on its way."""

    def __init__(self, process: subprocess.Popen[bytes], report: Path, log: Path) -> None:
        self._process, self._report, self._log = process, report, log

    @property
    def log(self) -> str:
        """All that was logged so far, the tasks' logs included."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait(self, timeout_s: float = 180.0) -> Outcome:
        """Its outcome. Fails, with the log, if it takes longer or if Airflow itself fails."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the run did not end within {timeout_s} s:\n{self.log}") from None
        assert code == 0, self.log
        return Outcome(**json.loads(self._report.read_text(encoding="utf-8")), log=self.log)

    def kill(self) -> None:
        """End it if it has not ended."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class AirflowHome:
    """A folder with Airflow's configuration and database. `settings` are environment variables for what runs in it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.settings = settings
        self._runs = 0

    def migrate(self) -> None:
        """Make the database."""
        self._call("-m", "airflow", "db", "migrate")

    def copy(self, folder: Path, **settings: str) -> Self:
        """A home with a copy of this one's database: much faster than to migrate again."""
        shutil.copy(self.folder / "airflow.db", folder / "airflow.db")
        return type(self)(folder, **{**self.settings, **settings})

    def run_dag(self, dag_id: str, *, timeout_s: float = 180.0, **options: Any) -> Outcome:
        """`start_dag` and wait."""
        return self.start_dag(dag_id, **options).wait(timeout_s)

    def start_dag(
        self,
        dag_id: str,
        *,
        conf: dict[str, Any] | None = None,
        variables: dict[str, str] | None = None,
        run_after: str | None = None,
        skip_tasks: str | None = None,
        answer: str | None = None,
    ) -> RunningDag:
        """Set the Airflow Variables and start `dag.test()`.

        Tasks whose id matches the regular expression `skip_tasks` are marked as succeeded and not run. The first task
        that asks a person gets `answer`, as from the user "ann".
        """
        self._runs += 1
        report, log = (self.folder / f"{self._runs}-{dag_id}.{kind}" for kind in ("json", "log"))
        order = {"conf": conf, "variables": variables or {}, "run_after": run_after, "skip_tasks": skip_tasks}
        order["answer"] = answer
        command = [sys.executable, "-m", PROGRAM, dag_id, json.dumps(order), str(report)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=PROJECT, env=self.environment(), stdout=output, stderr=output, start_new_session=True
            )
        return RunningDag(process, report, log)

    def environment(self) -> dict[str, str]:
        """For any process that uses this home."""
        own = {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.folder}/airflow.db",
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.folder / "logs"),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        return {**os.environ, **own, **self.settings}

    def _call(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
