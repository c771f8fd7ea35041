"""Airflow's real API server with the plugin, on a real Redis, Kafka and two S3 servers, and a browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from docs.screenshots.take import OPTIONS
from instrument_cache.backup.region import ensure_backup_buckets
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import Environment, s3_settings
from local_stack.components.component import answers
from local_stack.instance import PROJECT, Instance
from tests.integration.airflow_home import AirflowHome
from tests.integration.page.site import USERS, Site
from tests.servers import free_port, process, stack_parts, wait_until
from tests.unit.plugins.fake_flink import FakeFlink

# Parts that are not there.
ABSENT = (
    *("ICACHE_SOURCE_URL", "ICACHE_LOOKUP_URL", "ICACHE_AIRFLOW_URL"),
    *("ICACHE_DOCTOR_FOLDERS", "ICACHE_DOCTOR_SUPERVISOR_LOG"),
)


@pytest.fixture(scope="package")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with stack_parts(tmp_path_factory.mktemp("parts"), "redis", "kafka", "s3", "s3-second") as made:
        yield made


@pytest.fixture(scope="package")
def site(instance: Instance, migrated: AirflowHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with FakeFlink() as flink:
        port = free_port()
        settings = {
            **instance.settings(),
            "ICACHE_FLINK_URL": flink.url,
            "ICACHE_BACKUP_LOCK_HOURS": "0",
            "ICACHE_BACKUP_RDB": "false",
            # A canary of the test is written once.
            "ICACHE_FRESHNESS_LATE_S": "3600",
            "ICACHE_FRESHNESS_STALLED_S": "3600",
        }
        for absent in ABSENT:
            settings.pop(absent, None)
        env = Environment(settings)
        ensure_backup_buckets(env)
        ObjectStore(s3_settings(env)).make_bucket()
        home = migrated.copy(tmp_path_factory.mktemp("airflow"), **settings, **_server_settings(port))
        _write_passwords(home)
        _serialize_dags(home)
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "airflow", "api-server", "--port", str(port), "--host", "127.0.0.1"]
        with process(command, home.environment(), home.folder / "api-server.log"):
            wait_until(lambda: answers(f"{url}/api/v2/version"), 180, what="Airflow's API server")
            yield Site(url, env, flink, httpx.Client(base_url=url, timeout=60.0))


def _server_settings(port: int) -> dict[str, str]:
    return {
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": "a-key-of-the-tests-and-of-nothing-else",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a-secret-of-the-tests-and-of-nothing-else",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
    }


def _write_passwords(home: AirflowHome) -> None:
    path = home.folder / "passwords.json"
    path.write_text(json.dumps({name: name for name in USERS}))
    home.settings["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"] = str(path)


def _serialize_dags(home: AirflowHome) -> None:
    """Airflow shows the forms of DAGs that it has in its database."""
    command = [sys.executable, "-m", "airflow", "dags", "reserialize"]
    done = subprocess.run(command, cwd=PROJECT, env=home.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def pictures(request: pytest.FixtureRequest) -> Path | None:
    """Where pictures are wanted, if they are (ICACHE_TEST_PICTURES)."""
    folder = os.environ.get("ICACHE_TEST_PICTURES")
    return Path(folder) if folder else None
