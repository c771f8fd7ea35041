"""What runs inside the images at their start and for their health."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from instrument_cache.settings import Environment
from local_stack.instance import PORTS, PROJECT, Instance
from tests.servers import free_port, process, wait_until
from tests.unit.docker.conftest import Services

DOCKER = PROJECT / "docker"
ONCE: Any = Retry(NoBackoff(), 0)
HEALTH = b'{"scheduler":{"status":"healthy"},"slots-total":2}'


@pytest.fixture(scope="module")
def answering() -> Iterator[str]:
    """A server that answers /health and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 503)
            self.end_headers()
            self.wfile.write(HEALTH)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["/health"], 0),
        (["/health", "scheduler.status", "healthy"], 0),
        (["/health", "slots-total", "2"], 0),
        (["/health", "slots-total", "3"], 1),
        (["/health", "triggerer.status", "healthy"], 1),
        (["/health", "slots-total.deeper", "1"], 1),
        (["/away"], 1),
    ],
)
def test_health_over_http(answering: str, arguments: list[str], exit_code: int) -> None:
    assert _healthy(answering + arguments[0], *arguments[1:]) == exit_code


def test_health_of_what_nobody_serves() -> None:
    assert _healthy(f"http://127.0.0.1:{free_port()}/") == 1


def test_health_in_a_file(tmp_path: Path) -> None:
    state = tmp_path / "feed.json"
    assert _healthy(state.as_uri(), "phase", "live") == 1
    state.write_text('{"phase":"snapshot"}')
    assert _healthy(state.as_uri(), "phase", "live") == 1
    state.write_text('{"phase":"live"}')
    assert _healthy(state.as_uri(), "phase", "live") == 0


def test_flinks_configuration_takes_s3_from_the_environment(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("the-key\n")
    variables = {"ICACHE_S3_ENDPOINT": "http://s3:1", "ICACHE_S3_ACCESS_KEY": "a", "ICACHE_S3_BUCKET": "b"}
    script = runpy.run_path(str(DOCKER / "flink_config.py"))
    config = script["flink_config"](Environment(variables | {"ICACHE_S3_SECRET_KEY_FILE": str(key)}))
    assert config["s3.secret-key"] == "the-key"
    assert config["execution.checkpointing.savepoint-dir"] == "s3://b/savepoints"
    assert config["rest.address"] == "flink-jobmanager"
    script["write_config"](tmp_path / "conf", config)
    assert (tmp_path / "conf" / "config.yaml").stat().st_mode & 0o777 == 0o600


def test_flinks_start_says_what_is_missing(tmp_path: Path) -> None:
    environment = {**os.environ, "FLINK_CONF_DIR": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, str(DOCKER / "flink_config.py"), "true"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ICACHE_S3_ENDPOINT is missing" in done.stderr


def test_airflow_gets_its_password_and_its_connection(tmp_path: Path) -> None:
    (tmp_path / "airflow_password").write_text("word")
    (tmp_path / "pod_runner_token").write_text("token")
    added = runpy.run_path(str(DOCKER / "airflow_entrypoint.py"))["prepare"](tmp_path, tmp_path)
    passwords = tmp_path / "passwords.json"
    assert json.loads(passwords.read_text()) == {"admin": "word"}
    assert passwords.stat().st_mode & 0o777 == 0o600
    kube_config = json.loads(added["AIRFLOW_CONN_KUBERNETES_DEFAULT"])["extra"]["kube_config"]
    assert kube_config["clusters"][0]["cluster"]["server"] == f"http://pod-runner:{PORTS['pod-runner']}"
    assert kube_config["users"][0]["user"]["token"] == "token"


def test_pods_get_the_settings_of_the_runners_service(services: Services) -> None:
    script = runpy.run_path(str(DOCKER / "pod_runner.py"))
    environ = {name: f"/{name}" for name in script["_IMAGE_VARIABLES"]} | services["pod-runner"]["environment"]
    config = script["runner_config"](environ | {"OTHER": "stays"})
    secret = config.secrets["instrument-cache"]
    assert secret == {name: value for name, value in environ.items() if name.startswith("ICACHE_")}
    assert list(config.images) == [environ["ICACHE_FLINK_IMAGE"]]
    assert script["PORT"] == PORTS["pod-runner"]


def test_redis_starts_as_the_compose_file_says(services: Services, tmp_path: Path) -> None:
    """The service's own command, with other places."""
    port = free_port()
    (tmp_path / "redis_password").write_text("from-the-file")
    shell, script = services["redis"]["entrypoint"], services["redis"]["command"][0].replace("$$", "$")
    script = script.replace("16379", str(port)).replace("/run/secrets", str(tmp_path)).replace("/data", str(tmp_path))
    script = script.replace("bind * -::*", "bind 127.0.0.1")
    with process([*shell, script], log=tmp_path / "log"):
        client = redis.Redis(port=port, password="from-the-file", retry=ONCE)
        wait_until(client.ping, what="Redis")
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port, retry=ONCE).ping()
    assert b"from-the-file" not in (tmp_path / "log").read_bytes()


def test_s3_starts_as_the_compose_file_says(services: Services, tmp_path: Path) -> None:
    port = free_port()
    for name in ("s3_access_key", "s3_secret_key"):
        (tmp_path / name).write_text(f"from-{name}")
    shell, script = services["s3"]["entrypoint"], services["s3"]["command"][0].replace("$$", "$")
    script = script.replace("/usr/local/bin/versitygw", str(Instance.from_environment().tools / "bin" / "versitygw"))
    script = script.replace("--port :8084", f"--port 127.0.0.1:{port}").replace("/run/secrets", str(tmp_path))
    with process([*shell, script.replace("/data", str(tmp_path))], log=tmp_path / "log"):
        wait_until(lambda: _healthy(f"http://127.0.0.1:{port}/health") == 0, what="S3")
        variables = {"ICACHE_S3_ENDPOINT": f"http://127.0.0.1:{port}", "ICACHE_S3_BUCKET": "made"}
        keys = {f"ICACHE_{name.upper()}_FILE": str(tmp_path / name) for name in ("s3_access_key", "s3_secret_key")}
        make_buckets = runpy.run_path(str(DOCKER / "make_topics_and_bucket.py"))["make_buckets"]
        for _ in range(2):
            make_buckets(Environment(variables | keys))
    assert (tmp_path / "objects" / "made").is_dir()
    assert (tmp_path / "objects" / "instrument-cache-backup").is_dir()
    assert (tmp_path / "objects" / "instrument-cache-audit").is_dir()


def _healthy(*arguments: str) -> int:
    command = [sys.executable, "-S", str(DOCKER / "healthy.py"), *arguments]
    return subprocess.run(command, capture_output=True, check=False).returncode
