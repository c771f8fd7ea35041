"""The stand-in for the Kubernetes API in a container: pods run as processes of this container, in Flink's environment.

On a bare machine the runner refuses every address but the loopback, because its pods are unconfined processes of the
user. Here the container confines them, and Airflow's containers must reach it; its port is not published to the host.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import uvicorn

from local_stack.pod_runner.app import create_app
from local_stack.pod_runner.config import Image, RunnerConfig

PORT: Final = 8083
SECRET: Final = "instrument-cache"
_IMAGE_VARIABLES: Final = ("PYTHONPATH", "FLINK_HOME", "FLINK_CONF_DIR", "FLINK_LIB_DIR", "FLINK_PLUGINS_DIR")


def runner_config(environ: Mapping[str, str]) -> RunnerConfig:
    """One image, which is this one, and one Secret: every ICACHE_ setting of this container."""
    image = Image(
        cwd=Path("/opt/instrument-cache"),
        env={name: environ[name] for name in _IMAGE_VARIABLES},
        path_prepend=["/opt/venv/bin"],
    )
    return RunnerConfig(
        token_file=Path("/run/secrets/pod_runner_token"),
        state_dir=Path("/var/lib/pods"),
        images={environ["ICACHE_FLINK_IMAGE"]: image},
        namespace=environ["ICACHE_NAMESPACE"],
        secrets={SECRET: {name: value for name, value in environ.items() if name.startswith("ICACHE_")}},
    )


def main() -> None:
    uvicorn.run(
        create_app(runner_config(os.environ)),
        host="0.0.0.0",
        port=PORT,
        lifespan="on",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,  # longer than clients keep an idle connection
        timeout_graceful_shutdown=1,  # open log streams are cut after so long
    )


if __name__ == "__main__":
    main()
