"""Starts one supervised program: `python -m local_stack.launch NAME COMMAND…`.

Its environment comes from a private file, because it holds secrets. First it ends what an earlier life of the same
component left behind: the workers of a killed server would still hold its port. Then it becomes the program.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Final

from local_stack.instance import Instance, write_private
from local_stack.processes import end, marked

# A broker that starts on a full disk cannot rebuild the index of its metadata log, takes the log for corrupt and
# deletes it, and with it every topic. It must not start before there is room.
_WAITS_FOR_DISK: Final = ("kafka",)
_DISK_FREE_BYTES_MIN: Final = 100_000_000


def main() -> None:
    name, command = sys.argv[1], sys.argv[2:]
    left = end(marked(os.environ["ICACHE_INSTANCE"], name), grace_s=2.0)
    if left:
        print(f"launch: ended {left} processes that an earlier {name} left behind", flush=True)
    if name in _WAITS_FOR_DISK:
        await_disk(Instance.from_environment().folder("data"))
    environment = {**os.environ, **read_environment(Instance.from_environment(), name), "ICACHE_COMPONENT": name}
    os.execvpe(command[0], command, environment)


def await_disk(folder: Path, pause_s: float = 1.0) -> None:
    """Wait until the disk of `folder` has room."""
    if shutil.disk_usage(folder).free < _DISK_FREE_BYTES_MIN:
        print(
            f"launch: the disk of {folder} has less than {_DISK_FREE_BYTES_MIN // 10**6} MB free; waiting", flush=True
        )
    while shutil.disk_usage(folder).free < _DISK_FREE_BYTES_MIN:
        time.sleep(pause_s)


def write_environment(instance: Instance, name: str, environment: dict[str, str]) -> None:
    """Keep the environment of a component for its next start."""
    write_private(_path(instance, name), json.dumps(environment))


def read_environment(instance: Instance, name: str) -> dict[str, str]:
    """The environment that was kept for a component."""
    environment: dict[str, str] = json.loads(_path(instance, name).read_text(encoding="utf-8"))
    return environment


def _path(instance: Instance, name: str) -> Path:
    return instance.folder("conf", "environment") / f"{name}.json"


if __name__ == "__main__":
    main()
