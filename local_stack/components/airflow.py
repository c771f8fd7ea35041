"""Airflow's four parts, each supervised by itself: a stopped `airflow standalone` leaves its children behind."""

from __future__ import annotations

import json
import os
import subprocess
from importlib.metadata import version

from instrument_cache.errors import InstrumentCacheError
from local_stack.components.component import Component, answers
from local_stack.components.product import FLINK_IMAGE, NAMESPACE, feed_state_file
from local_stack.instance import PROJECT, Instance, write_private
from local_stack.pod_runner.kubeconfig import airflow_connection_json

ADMIN = "admin"


def airflow_environment(instance: Instance) -> dict[str, str]:
    """Airflow's whole configuration. SQLite is enough for one machine; anything shared takes Postgres."""
    home = instance.folder("airflow")
    port = instance.port("airflow")
    return {
        **instance.settings(),
        "PATH": f"{instance.python.parent}{os.pathsep}{os.environ['PATH']}",
        "ICACHE_FEED_STATE_FILE": str(feed_state_file(instance)),
        "ICACHE_FLINK_IMAGE": FLINK_IMAGE,
        "ICACHE_NAMESPACE": NAMESPACE,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__FERNET_KEY": instance.secret("airflow_fernet_key"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        # `icache up` starts them, in order.
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        # A dozen processes share the one file: wait for a lock longer than SQLite's 5 s.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=60",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__SECRET_KEY": instance.secret("airflow_api_secret"),
        "AIRFLOW__API_AUTH__JWT_SECRET": instance.secret("airflow_jwt_secret"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(instance.folder("log", "airflow")),
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
        "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "120",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "90",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        # A worker that was killed is missed after two minutes, not after five; what a killed scheduler left, after one.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "60",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_KUBERNETES_DEFAULT": airflow_connection_json(
            "127.0.0.1", instance.port("pod-runner"), instance.secret("pod_runner_token"), NAMESPACE
        ),
    }


def _prepare(instance: Instance) -> None:
    home = instance.folder("airflow")
    write_private(home / "passwords.json", json.dumps({ADMIN: instance.secret("airflow_password")}))
    migrated = home / f"migrated-{version('apache-airflow')}"
    if migrated.exists():
        return
    environment = {**instance.base_environment(), **airflow_environment(instance)}
    command = [str(instance.python), "-m", "airflow", "db", "migrate"]
    done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstrumentCacheError(f"Airflow's database could not be migrated: {done.stderr.strip()[-600:]}")
    migrated.touch()


def _health(instance: Instance, part: str) -> bool:
    import httpx

    health = httpx.get(instance.url("airflow") + "/api/v2/monitor/health", timeout=5.0).json()
    return bool(health[part]["status"] == "healthy")


def _part(name: str, *arguments: str) -> Component:
    part = name.replace("-", "_")
    return Component(
        name=f"airflow-{name}",
        command=lambda instance: [str(instance.python), "-m", "airflow", *arguments],
        environment=airflow_environment,
        is_ready=lambda instance: _health(instance, part),
        needs=("airflow-api-server",),
        ready_timeout_s=180,
    )


API_SERVER = Component(
    name="airflow-api-server",
    command=lambda instance: [str(instance.python), "-m", "airflow", "api-server"],
    environment=airflow_environment,
    prepare=_prepare,
    is_ready=lambda instance: answers(instance.url("airflow") + "/api/v2/version"),
    ports=("airflow",),
    ready_timeout_s=180,
)
AIRFLOW = (
    API_SERVER,
    # Their log servers would listen on every address; here all parts read the same files.
    _part("scheduler", "scheduler", "--skip-serve-logs"),
    _part("dag-processor", "dag-processor"),
    _part("triggerer", "triggerer", "--skip-serve-logs"),
)
