"""Tells readers which epoch the cache stands in, once somebody has opened one.

Within an epoch no version goes back; with a new one it may. A roll back waits until every process has seen its epoch
(docs/adr/0021-a-roll-back-is-an-epoch.md), so no answer shows what was rolled back without this header.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import structlog

from instrument_cache.connections import redis_client
from instrument_cache.epoch import read_epoch
from instrument_cache.errors import StoreUnavailable

logger = structlog.get_logger(component="lookup")
HEADER: Final = "Instrument-Epoch"
# Well below the time that a roll back waits.
LOOK_S: Final = 0.5
_V1: Final = "/v1/"
Application = Callable[..., Iterable[bytes]]


class EpochWatch:
    """Looks at the epoch of each dataset, in a thread that begins with the first question, once forked."""

    def __init__(self, datasets: Sequence[str], read: Callable[[str], int]) -> None:
        """`read`: dataset → number of its epoch; raises StoreUnavailable."""
        self._datasets, self._read = datasets, read
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        # Dataset → the header's value; those in epoch 0 are not there.
        self.opened: dict[str, str] = {}

    def start(self) -> None:
        """Idempotent, and cheap."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="epochs", daemon=True)
                    self._thread.start()

    def look(self) -> None:
        """Look once. What cannot be asked for stays as it was: without Redis nothing is rolled back either."""
        for dataset in self._datasets:
            try:
                self._note(dataset, self._read(dataset))
            except StoreUnavailable as error:
                logger.debug("epoch_unknown", dataset=dataset, error=str(error))

    def _note(self, dataset: str, number: int) -> None:
        if number:
            self.opened[dataset] = str(number)
        else:
            self.opened.pop(dataset, None)

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self.look()
            pause.wait(LOOK_S)


class EpochHeader:
    """WSGI: adds the header to the answers of datasets that are not in their first epoch."""

    def __init__(self, app: Application, watch: EpochWatch) -> None:
        self._app, self._watch = app, watch

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self._watch.start()
        opened = self._watch.opened
        if not opened:
            return self._app(environ, start_response)
        number = opened.get(_dataset_of(environ["PATH_INFO"]))
        if number is None:
            return self._app(environ, start_response)

        def start(status: str, headers: Sequence[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, (HEADER, number)], *more)

        return self._app(environ, start)


def _dataset_of(path: str) -> str:
    """`/v1/instruments/037833100`, `/v1/instruments:batch` → `instruments`."""
    return path.removeprefix(_V1).partition("/")[0].partition(":")[0] if path.startswith(_V1) else ""


def watch_of(redis_url: str, timeout_s: float, datasets: Sequence[str]) -> EpochWatch:
    """Connects on first use, with a connection of its own. Raises SettingsError."""
    client = redis_client(redis_url, name="lookup-epoch", timeout_s=timeout_s)
    return EpochWatch(datasets, lambda dataset: read_epoch(client, dataset).number)
