"""One try of an operation: a process of its own, as a task of Airflow is, whose tasks are watched as they begin."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from local_stack.instance import PROJECT
from tests.faults.operations.tasks import Order
from tests.servers import wait_until

TIMEOUT_S: Final = 240.0


class Attempt:
    """Starts at once. `code` is what it ended with: see `runner.py`; below 0 it was killed."""

    def __init__(self, order: Order, environment: Mapping[str, str]) -> None:
        self._began: list[str] = []
        self._log = Path(order.folder) / "log"
        command = [sys.executable, "-m", "tests.faults.operations.runner", msgspec.json.encode(order).decode()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env={**os.environ, **environment}, cwd=PROJECT, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._began.append(line.strip())

    def await_task(self, task: str) -> None:
        """Until the task begins, or all has ended before."""
        wait_until(lambda: task in self._began or self.has_ended(), TIMEOUT_S, what=f"the task {task}")

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self) -> int:
        """Its code. Fails if it does not end."""
        try:
            code = self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"the try did not end within {TIMEOUT_S} s:\n{self.log}") from None
        self._reader.join()
        return code

    @property
    def log(self) -> str:
        """What all tries of the round have said."""
        return self._log.read_text(errors="replace")[-3000:]
