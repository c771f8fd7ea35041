"""A Redis primary with its replicas and three Sentinels, on free ports, empty."""

from __future__ import annotations

import os
import secrets
from typing import Any, Final

import redis

from instrument_cache.connections import redis_client
from instrument_cache.drills.children import Children, await_true, free_port

SERVICE: Final = "instruments"
SENTINELS: Final = 3
# One replica may follow the dead primary's place while another one is needed for a write to be taken.
REPLICAS: Final = 2
DOWN_AFTER_MS: Final = 1000
_QUORUM: Final = 2
_READY_S_MAX: Final = 20.0


class SentinelGroup:
    """Its servers are children: they end with the block of `children`."""

    def __init__(
        self,
        children: Children,
        *,
        name: str = "group",
        replicas: int = REPLICAS,
        down_after_ms: int = DOWN_AFTER_MS,
        memory_bytes_max: int = 2_000_000_000,
    ) -> None:
        self._children, self._name = children, name
        self._password = secrets.token_urlsafe(18)
        self._servers = {f"{name}-redis-{number}": free_port() for number in range(1 + replicas)}
        self._sentinels = {f"{name}-sentinel-{number}": free_port() for number in range(SENTINELS)}
        self._down_after_ms, self._memory_bytes_max = down_after_ms, memory_bytes_max

    @property
    def url(self) -> str:
        """What the product's processes are given."""
        nodes = ",".join(f"127.0.0.1:{port}" for port in self._sentinels.values())
        return f"redis+sentinel://:{self._password}@{nodes}/{SERVICE}"

    def client(self, timeout_s: float = 5.0) -> redis.Redis:
        """A client of whoever is the primary."""
        return redis_client(self.url, name="drill", timeout_s=timeout_s)

    def start(self) -> None:
        """Start all and wait until writes are taken. Raises DrillFailed."""
        (first, primary), *others = self._servers.items()
        self._start_server(first, primary, None)
        for name, port in others:
            self._start_server(name, port, primary)
        for name, port in self._sentinels.items():
            self._start_sentinel(name, port, primary)
        await_true(self._is_complete, _READY_S_MAX, "a Sentinel group that knows all its members")

    def kill_primary(self) -> None:
        """kill -9 of the server that takes the writes now."""
        port = self.primary_port()
        self._children.kill(next(name for name, own in self._servers.items() if own == port))

    def primary_port(self) -> int:
        """Whom the first Sentinel calls the primary."""
        return int(self._sentinel(next(iter(self._sentinels.values()))).sentinel_master(SERVICE)["port"])

    def _start_server(self, name: str, port: int, primary: int | None) -> None:
        folder = self._children.folder / name
        folder.mkdir(mode=0o700)
        config = folder / "redis.conf"
        self._write(config, self._config(port, folder, primary))
        self._children.start(name, ["redis-server", str(config)])
        admin = redis.Redis(port=port, password=self._password)
        self._children.await_ready(name, admin.ping, _READY_S_MAX)
        admin.close()

    def _config(self, port: int, folder: object, primary: int | None) -> str:
        """Nothing is kept on disk: a server that is gone does not come back in a drill."""
        return f"""\
bind 127.0.0.1
port {port}
set-proc-title no
dir {folder}
requirepass {self._password}
masterauth {self._password}
save ""
appendonly no
repl-diskless-sync yes
repl-diskless-sync-delay 0
repl-ping-replica-period 1
min-replicas-to-write 1
min-replicas-max-lag 10
maxmemory {self._memory_bytes_max}
maxmemory-policy noeviction
client-output-buffer-limit normal 256mb 128mb 10
client-output-buffer-limit replica 512mb 256mb 60
{f"replicaof 127.0.0.1 {primary}" if primary else ""}
"""

    def _start_sentinel(self, name: str, port: int, primary: int) -> None:
        folder = self._children.folder / name
        folder.mkdir(mode=0o700)
        config = folder / "sentinel.conf"
        self._write(
            config,
            f"""\
bind 127.0.0.1
port {port}
set-proc-title no
dir {folder}
sentinel monitor {SERVICE} 127.0.0.1 {primary} {_QUORUM}
sentinel auth-pass {SERVICE} {self._password}
sentinel down-after-milliseconds {SERVICE} {self._down_after_ms}
sentinel failover-timeout {SERVICE} 5000
sentinel parallel-syncs {SERVICE} {REPLICAS}
""",
        )
        self._children.start(name, ["redis-server", str(config), "--sentinel"])
        self._children.await_ready(name, self._sentinel(port).ping, _READY_S_MAX)

    def _is_complete(self) -> bool:
        states = [self._sentinel(port).sentinel_master(SERVICE) for port in self._sentinels.values()]
        know_all = all(
            (state["num-slaves"], state["num-other-sentinels"]) == (len(self._servers) - 1, SENTINELS - 1)
            for state in states
        )
        return know_all and bool(self.client(1.0).set("drill:ready", 1, px=1))

    def _sentinel(self, port: int) -> Any:
        return redis.Redis(port=port, socket_timeout=1.0)

    def _write(self, path: object, text: str) -> None:
        descriptor = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
