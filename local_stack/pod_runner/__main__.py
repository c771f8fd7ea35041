"""`python -m local_stack.pod_runner --config FILE`: serve until SIGTERM, then end all pods and exit, in 5 s at most."""

import argparse
import fcntl
import signal
import socket
import sys
from pathlib import Path
from typing import TextIO

import structlog
import uvicorn

from local_stack.pod_runner.app import create_app
from local_stack.pod_runner.config import ConfigError, RunnerConfig, load_config

REQUESTS_END_S = 1  # open log streams are cut after so long; ending the pods takes up to 3 s more
KEEP_ALIVE_S = 75
_log = structlog.get_logger()


def main() -> int:
    """Run the server; return 2 with one sentence on stderr if it cannot start."""
    parser = argparse.ArgumentParser(prog="pod_runner", description="Kubernetes API stand-in whose pods are processes")
    parser.add_argument("--config", type=Path, required=True, help="settings, JSON or YAML")
    try:
        config = load_config(parser.parse_args().config)
        lock = _lock(config.state_dir)
        listener = _listen(config)
    except ConfigError as error:
        print(f"pod runner: {error}", file=sys.stderr)
        return 2
    with lock, listener:
        _serve(config, listener)
    return 0


def _lock(state_dir: Path) -> TextIO:
    """Take the state folder for this runner alone; the lock ends with the process, however it ends."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        state_dir.chmod(0o700)
        lock = (state_dir / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(f"another runner uses state_dir {state_dir}; stop it or choose another folder") from None
    except OSError as error:
        raise ConfigError(f"cannot use state_dir {state_dir}: {error.strerror}; choose a folder of yours") from error
    return lock


def _listen(config: RunnerConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {config.host}:{config.port}: {error.strerror}; free the port or set another one"
        ) from error


def _serve(config: RunnerConfig, listener: socket.socket) -> None:
    # uvicorn raises the signal again when it is done; then this ends the process, with success.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(config),
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=REQUESTS_END_S,
        )
    )
    _log.info("pod runner serves", host=config.host, port=config.port, images=list(config.images))
    server.run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
