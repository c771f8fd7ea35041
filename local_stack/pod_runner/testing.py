"""A real runner for tests: `with RunningPodRunner(tmp_path, images={...}) as runner:` on a free port."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from local_stack.pod_runner.kubeconfig import airflow_connection_json, kubeconfig
from local_stack.pod_runner.status import Json

HOST = "127.0.0.1"
READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
_PROJECT_ROOT = Path(__file__).parents[2]


class RunningPodRunner:
    """One runner process with its state in `folder`; it can be killed and started again on the same port and state."""

    def __init__(self, folder: Path, images: Mapping[str, Json], *, namespace: str = "test", **settings: Any) -> None:
        self.namespace = namespace
        self.token = secrets.token_urlsafe(24)
        self.port = _free_port()
        self.state_dir = folder / "state"
        self.log_file = folder / "runner.log"
        self._config_file = folder / "runner.json"
        self._process: subprocess.Popen[bytes] | None = None
        token_file = folder / "token"
        for secret_file in (token_file, self._config_file):
            secret_file.touch(mode=0o600)
        token_file.write_text(self.token)
        config = {"host": HOST, "port": self.port, "namespace": namespace, "images": images, **settings}
        paths = {"token_file": str(token_file), "state_dir": str(self.state_dir)}
        self._config_file.write_text(json.dumps({**config, **paths}))

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://{HOST}:{self.port}"

    @property
    def kubeconfig(self) -> Json:
        """A kubeconfig for the clients."""
        return kubeconfig(HOST, self.port, self.token, self.namespace)

    @property
    def airflow_connection_json(self) -> str:
        """The value of AIRFLOW_CONN_KUBERNETES_DEFAULT."""
        return airflow_connection_json(HOST, self.port, self.token, self.namespace)

    def start(self, environ: Mapping[str, str] | None = None) -> None:
        """Start the runner with `environ` on top of this process's environment; return when it answers."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local_stack.pod_runner", "--config", str(self._config_file)],
                cwd=_PROJECT_ROOT,
                env={**os.environ, **(environ or {})},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the pod runner did not start:\n{self.log_file.read_text()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End the runner as a crash would (SIGKILL); its pods live on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_TIMEOUT_S)

    def stop(self) -> int:
        """End the runner with SIGTERM, and with it all pods; return its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(STOP_TIMEOUT_S)

    def __enter__(self) -> "RunningPodRunner":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            self.start()  # only a running runner ends the pods
        self.stop()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])
