"""Run the simulator: `python -m local_stack.sow_simulator --data-dir DIR --token-file FILE`."""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog
import uvicorn

from instrument_cache.errors import InstrumentCacheError, SettingsError
from instrument_cache.logs import configure_logging
from local_stack.sow_simulator.app import make_app
from local_stack.sow_simulator.store import SowStore
from local_stack.sow_simulator.subscribers import Subscribers
from local_stack.sow_simulator.topic import Topic

QUEUE_BYTES_MAX: Final = 256 * 1024 * 1024
# Longer than clients keep an idle connection, so that a request never meets one that is being closed.
_KEEP_ALIVE_S: Final = 75
_TOPIC: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
log = structlog.get_logger()


class Server(uvicorn.Server):
    """Ends the subscriptions before it waits for the open connections."""

    def __init__(self, config: uvicorn.Config, subscribers: Subscribers) -> None:
        super().__init__(config)
        self._subscribers = subscribers

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._subscribers.close()
        await super().shutdown(sockets)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line. Exits with a message if it cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m local_stack.sow_simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8082)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of the topic's file; made if missing")
    parser.add_argument("--topic", default="instruments")
    parser.add_argument("--key-field", default="cusip")
    parser.add_argument("--version-field", default="last_updated")
    parser.add_argument("--token-file", type=Path, required=True, help="file that holds the bearer token")
    parser.add_argument("--queue-bytes-max", type=int, default=QUEUE_BYTES_MAX, help="what a subscriber may be behind")
    return parser.parse_args(arguments)


def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM. Raises SettingsError if a part of the command line cannot be used."""
    token = _token(options.token_file)
    listener = _listen(options.host, options.port)
    store = _open_store(options)
    subscribers = Subscribers(options.queue_bytes_max)
    config = uvicorn.Config(
        make_app(Topic(store, subscribers), token),
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    log.info("listening", host=options.host, port=listener.getsockname()[1], topic=store.topic, rows=store.count())
    Server(config, subscribers).run([listener])


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--token-file {path} cannot be read ({error}): write the token into it") from error
    if not token:
        raise SettingsError(f"--token-file {path} is empty: write the token into it")
    return token


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=2048)
    except (OSError, OverflowError) as error:
        raise SettingsError(f"{host}:{port} cannot be listened on ({error}): choose another --port") from error


def _open_store(options: argparse.Namespace) -> SowStore:
    folder: Path = options.data_dir
    if not _TOPIC.fullmatch(options.topic):
        raise SettingsError(f"--topic {options.topic!r} must match {_TOPIC.pattern}: choose another name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _lock(folder)
    except OSError as error:
        raise SettingsError(f"--data-dir {folder} cannot be used ({error}): free it or choose another") from error
    return SowStore(folder / f"{options.topic}.sqlite3", options.topic, options.key_field, options.version_field)


def _lock(folder: Path) -> None:
    """Hold the folder until the process ends, however it ends: two servers would count positions apart."""
    fcntl.flock(os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600), fcntl.LOCK_EX | fcntl.LOCK_NB)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    options = parse(arguments)
    try:
        configure_logging("sow_simulator")
        serve(options)
    except InstrumentCacheError as error:
        print(f"sow_simulator: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
