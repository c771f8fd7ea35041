"""The few calls to Airflow's REST API that the stack makes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from instrument_cache.errors import Unavailable
from local_stack.components.airflow import ADMIN
from local_stack.instance import Instance

# Airflow itself waits for its database for up to 60 s.
_TIMEOUT_S: Final = 75.0
_GIVE_UP_S: Final = 200.0


class AirflowApi:
    """Logs in as the instance's administrator. Raises Unavailable if Airflow does not do what it was asked."""

    def __init__(self, instance: Instance) -> None:
        self._client = httpx.Client(base_url=instance.url("airflow"), timeout=_TIMEOUT_S)
        login = {"username": ADMIN, "password": instance.secret("airflow_password")}
        token = self._call("POST", "/auth/token", json=login)["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def has_dag(self, dag_id: str) -> bool:
        return self._client.get(f"/api/v2/dags/{dag_id}").status_code == 200

    def import_errors(self) -> list[str]:
        found = self._call("GET", "/api/v2/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in found]

    def pause(self, dag_id: str, paused: bool = True) -> None:
        self._call("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": paused})

    def trigger(self, dag_id: str, note: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run now, with what its form would give (`conf`), and return its id."""
        # The id is ours, so that a call that is made again does not start a second run.
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        body = {"logical_date": None, "note": note, "dag_run_id": run_id, "conf": dict(conf or {})}
        self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body, taken=(httpx.codes.CONFLICT,))
        return run_id

    def runs(self, dag_id: str, *states: str) -> list[dict[str, Any]]:
        """The newest runs in those states, newest first."""
        query: dict[str, Any] = {"order_by": "-run_after", "limit": 20, "state": list(states)}
        runs: list[dict[str, Any]] = self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=query)["dag_runs"]
        return runs

    def end_run(self, dag_id: str, run_id: str, state: str, note: str) -> None:
        """Mark a run as "success" or "failed"; its tasks end."""
        self._call("PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", json={"state": state, "note": note})

    def set_variable(self, name: str, value: str) -> None:
        """Make or change an Airflow Variable."""
        known = self._client.get(f"/api/v2/variables/{name}").is_success
        method, path = ("PATCH", f"/api/v2/variables/{name}") if known else ("POST", "/api/v2/variables")
        self._call(method, path, json={"key": name, "value": value})

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[dict[str, Any]] = self._call("GET", path)["task_instances"]
        return found

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        return str(self._call("GET", path, headers={"Accept": "application/json"})["content"])

    def page(self) -> dict[str, Any]:
        """What the operator's page shows, as programs get it."""
        found: dict[str, Any] = self._call("GET", "/instrument-cache/overview.json")
        return found

    def _call(self, method: str, path: str, taken: tuple[int, ...] = (), **options: Any) -> Any:
        """The answer's JSON. A status in `taken` says that an earlier try of the same call was carried out."""
        try:
            for attempt in _again():
                with attempt:
                    response = self._client.request(method, path, **options)
                    if not (response.status_code in taken and attempt.retry_state.attempt_number > 1):
                        response.raise_for_status()
        except httpx.HTTPError as error:
            raise Unavailable(
                f"Airflow did not answer {method} {path}: {error}; see `icache logs airflow-api-server`"
            ) from error
        return response.json()


def _again() -> Retrying:
    """Each call says the same when made twice, and a busy SQLite or a restarting server answers a little later."""
    return Retrying(
        retry=retry_if_exception(_passes),
        wait=wait_random_exponential(0.5, max=5),
        stop=stop_after_delay(_GIVE_UP_S),
        reraise=True,
    )


def _passes(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, httpx.TransportError)
