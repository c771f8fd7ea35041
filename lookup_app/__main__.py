"""`python -m lookup_app [--host H] [--port P]`: the lookup service as it is run."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server import MPServer

from instrument_cache.errors import InstrumentCacheError
from instrument_cache.logs import configure_logging
from lookup_app.config import lookup_settings
from lookup_app.fast_lane.lane import reserved
from lookup_app.fast_lane.settings import hand_down, wanted
from lookup_app.files_limit import raise_limit_of_files
from lookup_app.protection.settings import protection_settings
from lookup_app.sampling import sampling_settings
from lookup_app.server_settings import ServerSettings, server_settings
from lookup_app.worker_files import SUFFIX

_APP: Final = "lookup_app.wsgi:app"
_NAME: Final = "instrument-cache-lookup"


def main() -> None:
    """Serve until SIGTERM or SIGINT. Settings that cannot be used are said in one line, before anything starts."""
    parser = argparse.ArgumentParser(prog="lookup_app", description="The lookup service.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    try:
        configure_logging("lookup")
        lookup_settings()
        protection_settings()
        sampling_settings()
        settings = server_settings()
        lane = wanted()
    except InstrumentCacheError as error:
        raise SystemExit(f"lookup: {error}") from None
    raise_limit_of_files()
    with _shared_metrics(settings), _fast_lane((options.host, options.port), lane) as path:
        create_server(settings, options.host, options.port, path).serve()


def create_server(settings: ServerSettings, host: str, port: int, uds: Path | None = None) -> MPServer:
    """A server that has not begun. Its workers end by themselves after the drain, or are killed if that takes too long.

    With `uds` it listens at that unix socket instead.

    HTTP/1.1 only: what bounds slow clients here (time and size of a header) has no like in its HTTP/2.
    """
    http1 = HTTP1Settings(
        header_read_timeout=round(settings.header_timeout_s * 1000), max_buffer_size=settings.header_bytes_max
    )
    return MPServer(
        _APP,
        address=host,
        port=port,
        uds=uds,
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=settings.threads,
        http=HTTPModes.http1,
        http1_settings=http1,
        backlog=settings.backlog,
        backpressure=settings.connections_max,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=round(settings.drain_s) + settings.stop_s,
        process_name=_NAME if find_spec("setproctitle") else None,  # not in the service's image
    )


@contextmanager
def _fast_lane(address: tuple[str, int], is_wanted: bool) -> Iterator[Path | None]:
    """Have each worker open a fast lane at `address`; yields where the server behind it must listen instead."""
    if not is_wanted:
        yield None
        return
    try:
        held = reserved(address)
    except OSError as error:
        raise SystemExit(f"lookup: {address[0]}:{address[1]} cannot be had: {error.strerror}") from None
    with held, tempfile.TemporaryDirectory(prefix="icache-lookup-") as folder:
        path = Path(folder) / "server.sock"
        hand_down(address, str(path))
        yield path


@contextmanager
def _shared_metrics(settings: ServerSettings) -> Iterator[None]:
    """Several workers add their metrics up through a folder: its own, unless one was set, and empty at the start."""
    if settings.metrics_folder is None and settings.workers > 1:
        with tempfile.TemporaryDirectory(prefix="icache-lookup-") as folder:
            os.environ["ICACHE_LOOKUP_METRICS_DIR"] = folder
            yield
        return
    if settings.metrics_folder is not None:
        for left in Path(settings.metrics_folder).glob(f"*{SUFFIX}"):
            left.unlink(missing_ok=True)
    yield


if __name__ == "__main__":
    main()
