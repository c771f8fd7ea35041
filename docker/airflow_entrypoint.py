"""Gives Airflow the two secrets that it cannot read from a secret's file, then becomes the command.

The file of passwords must be writable for Airflow, and a connection is an environment variable.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Final

from instrument_cache.settings import environment
from local_stack.instance import PORTS, write_private
from local_stack.pod_runner.kubeconfig import airflow_connection_json

ADMIN: Final = "admin"
_SECRETS: Final = Path("/run/secrets")


def prepare(home: Path, secrets: Path) -> dict[str, str]:
    """Write the administrator's password into `home`; return the variables to add."""
    password = (secrets / "airflow_password").read_text(encoding="utf-8").strip()
    write_private(home / "passwords.json", json.dumps({ADMIN: password}))
    token = (secrets / "pod_runner_token").read_text(encoding="utf-8").strip()
    namespace = environment().text("ICACHE_NAMESPACE", "instrument-cache")
    connection = airflow_connection_json("pod-runner", PORTS["pod-runner"], token, namespace)
    return {"AIRFLOW_CONN_KUBERNETES_DEFAULT": connection}


def main() -> None:
    os.environ.update(prepare(Path(os.environ["AIRFLOW_HOME"]), _SECRETS))
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
