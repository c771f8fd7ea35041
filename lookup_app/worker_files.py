"""Numbers that worker processes leave for each other in a folder: one small file each, written anew every second."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Final

import msgspec
import structlog

from lookup_app.metric_snapshot import Snapshot

SUFFIX: Final = ".worker"
logger = structlog.get_logger()
_decode = msgspec.json.Decoder(Snapshot).decode


class WorkerFiles:
    """This process's file in `folder`, and those of the others. What a worker counted outlives it; gauges do not."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        # A process id comes again; a counter must never go back to what a later worker counted.
        self._own = self._folder / f"{os.getpid()}-{time.time_ns()}{SUFFIX}"
        self._writing = threading.Lock()

    def keep_written(self, snapshot: Callable[[], Snapshot], pause_s: float) -> None:
        """Write now, every `pause_s` seconds in a thread, and once more when the process ends."""

        def run() -> None:
            while True:
                self._write_or_log(snapshot)
                time.sleep(pause_s)

        threading.Thread(target=run, name="metrics", daemon=True).start()
        # Worker processes end without the interpreter's own exit handlers.
        Finalize(None, self._write_or_log, args=(snapshot,), exitpriority=1)

    def others(self) -> Iterator[Snapshot]:
        """The numbers of every other worker, also of those that have ended."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path != self._own and (found := _read(path)) is not None:
                yield found

    def write(self, snapshot: Snapshot) -> None:
        """Put a snapshot in place as a whole: nobody reads half of it. Raises OSError."""
        draft = self._own.with_suffix(".draft")
        with self._writing:
            draft.write_bytes(msgspec.json.encode(snapshot))
            draft.replace(self._own)

    def _write_or_log(self, snapshot: Callable[[], Snapshot]) -> None:
        try:
            self.write(snapshot())
        except OSError as error:
            logger.warning("metrics_not_shared", folder=str(self._folder), error=str(error))


def _read(path: Path) -> Snapshot | None:
    try:
        found = _decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    if not _is_alive(found.pid):
        found.gauges = {}
    return found


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
