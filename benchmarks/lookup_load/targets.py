"""The servers that are compared: the lookup service with and without its cache, Webdis, and Feast's server.

All read the same Redis, in the same run. Each is a process of its own that ends with its `with`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx

from benchmarks.lookup_load.stock import export
from instrument_cache.api_keys import KeyStore
from instrument_cache.contract import Contract
from instrument_cache.errors import InstrumentCacheError
from local_stack.instance import DATASET, PROJECT, Instance
from tests.servers import free_port

OURS: Final = "instrument-cache"
UNCACHED: Final = "instrument-cache without its cache"
WEBDIS: Final = "webdis"
FEAST: Final = "feast"
# Per worker: of those that answer what the fast lane does not.
THREADS: Final = 1
_READY_S_MAX: Final = 60.0
_READS: Final = re.compile(r'^instrument_cache_lookup_reads_total\{.*outcome="(\w+)".*\} ([0-9.e+]+)$', re.MULTILINE)


@dataclass(frozen=True)
class Target:
    """A server under test, and the requests that ask it for one key or for many. `pid` is its parent process."""

    name: str
    port: int
    single: Callable[[str], bytes]
    batch: Callable[[Sequence[str]], bytes]
    pid: int
    workers: int

    def reads(self) -> dict[str, float]:
        """Outcome → reads since the server's start; empty for a server that does not tell."""
        if self.name not in (OURS, UNCACHED):
            return {}
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=10).text
        return {outcome: float(amount) for outcome, amount in _READS.findall(text)}


@contextmanager
def targets(
    instance: Instance, contract: Contract, keys: list[str], cache_bytes: int, logs: Path, with_feast: bool
) -> Iterator[list[Target]]:
    """Every server, ready. Raises InstrumentCacheError for one that is not installed or does not start."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(ours(instance, OURS, cache_bytes, logs)),
            stack.enter_context(ours(instance, UNCACHED, 0, logs)),
            stack.enter_context(_webdis(instance, contract, logs)),
        ]
        if with_feast:
            servers.append(stack.enter_context(_feast(instance, contract, keys, logs)))
        yield servers


@contextmanager
def ours(instance: Instance, name: str, cache_bytes: int, logs: Path) -> Iterator[Target]:
    """With authentication, rate limit, metrics and fast lane on; one worker for each core."""
    api_key = KeyStore.connect(instance.redis_url).create("benchmark", [DATASET])
    port, workers = free_port(), len(os.sched_getaffinity(0))
    environment = {
        **os.environ,
        **instance.settings(),
        "PYTHONPATH": str(PROJECT),
        "ICACHE_LOOKUP_AUTH": "api-key",
        "ICACHE_LOOKUP_RATE_PER_S": "1000000",
        "ICACHE_LOOKUP_WORKERS": str(workers),
        "ICACHE_LOOKUP_THREADS": str(THREADS),
        "ICACHE_LOOKUP_CACHE_BYTES": str(cache_bytes),
        "ICACHE_LOOKUP_FAST_LANE": "true",
    }
    command = [sys.executable, "-m", "lookup_app", "--host", "127.0.0.1", "--port", str(port)]
    head = f"Host: 127.0.0.1:{port}\r\nX-API-Key: {api_key}\r\n"

    def single(key: str) -> bytes:
        return f"GET /v1/{DATASET}/{quote(key, safe='')} HTTP/1.1\r\n{head}\r\n".encode()

    def batch(many: Sequence[str]) -> bytes:
        body = json.dumps({"ids": list(many)}).encode()
        return _post(f"/v1/{DATASET}:batch", head, body)

    with _process(name, command, logs, environment) as pid:
        wait_ready(f"http://127.0.0.1:{port}/readyz", name)
        yield Target(name, port, single, batch, pid, workers)


@contextmanager
def _webdis(instance: Instance, contract: Contract, logs: Path) -> Iterator[Target]:
    program = shutil.which("webdis")
    if program is None:
        raise InstrumentCacheError("Webdis is not there; `local_stack/setup/setup.sh bench` installs it")
    port = free_port()
    config = {
        **{"redis_host": "127.0.0.1", "redis_port": instance.port("redis")},
        **{"redis_auth": instance.secret("redis_password"), "http_host": "127.0.0.1", "http_port": port},
        **{"threads": len(os.sched_getaffinity(0)), "pool_size": 20, "daemonize": False, "verbosity": 1},
        **{"database": 0, "acl": [{"disabled": ["DEBUG"]}], "logfile": str(logs / "webdis.own.log")},
        "http_max_request_size": 1_000_000,
    }
    path = instance.folder("conf") / "webdis.json"
    path.write_text(json.dumps(config))
    head = f"Host: 127.0.0.1:{port}\r\n"

    def ask(command: str, keys: Sequence[str]) -> bytes:
        names = "/".join(quote(contract.redis_key(key), safe=":") for key in keys)
        return f"GET /{command}/{names} HTTP/1.1\r\n{head}\r\n".encode()

    with _process(WEBDIS, [program, str(path)], logs, dict(os.environ)) as pid:
        wait_ready(f"http://127.0.0.1:{port}/PING", WEBDIS)
        yield Target(WEBDIS, port, lambda key: ask("GET", [key]), lambda keys: ask("MGET", keys), pid, 1)


@contextmanager
def _feast(instance: Instance, contract: Contract, keys: list[str], logs: Path) -> Iterator[Target]:
    """Feast's own server with one worker for each core, its online store in the same Redis."""
    tools = instance.tools / "feast" / "bin"
    if not (tools / "feast").exists():
        raise InstrumentCacheError("Feast is not there; `local_stack/setup/setup.sh bench` installs it")
    folder = instance.folder("feast")
    export(instance.redis_url, contract, keys, folder / "rows.ndjson")
    address = f"127.0.0.1:{instance.port('redis')},password={instance.secret('redis_password')},db=1"
    script = Path(__file__).with_name("feast_repository.py")
    environment = {**os.environ, "FEAST_USAGE": "False", "IS_TEST": "True"}
    environment.pop("PYTHONPATH", None)
    load = [str(tools / "python"), str(script), str(folder), str(folder / "rows.ndjson"), address]
    done = subprocess.run(load, capture_output=True, text=True, timeout=900, check=False, env=environment, cwd=folder)
    if done.returncode:
        raise InstrumentCacheError(f"Feast's store was not filled: {done.stderr.strip()[-400:]}")
    port = free_port()
    workers = str(len(os.sched_getaffinity(0)))
    command = [str(tools / "feast"), "--chdir", str(folder), "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", workers, "--no-access-log", "--max-requests", "0"]
    head = f"Host: 127.0.0.1:{port}\r\n"
    features = [f"instrument:{field.name}" for field in contract.fields if field.name != contract.key.name]

    def ask(many: Sequence[str]) -> bytes:
        body = json.dumps({"features": features, "entities": {"cusip": list(many)}}).encode()
        return _post("/get-online-features", head, body)

    with _process(FEAST, command, logs, environment) as pid:
        wait_ready(f"http://127.0.0.1:{port}/health", FEAST)
        yield Target(FEAST, port, lambda key: ask([key]), ask, pid, int(workers))


def _post(path: str, head: str, body: bytes) -> bytes:
    lengths = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"POST {path} HTTP/1.1\r\n{head}{lengths}\r\n".encode() + body


@contextmanager
def _process(name: str, command: list[str], logs: Path, environment: Mapping[str, str]) -> Iterator[int]:
    with (logs / f"{name.replace(' ', '-')}.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(environment), cwd=PROJECT)
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_ready(url: str, name: str) -> None:
    """Poll until the server answers 200. Raises InstrumentCacheError after a minute."""
    deadline = time.monotonic() + _READY_S_MAX
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise InstrumentCacheError(f"{name} was not ready within {_READY_S_MAX:.0f} s; --logs keeps its log")
