"""A master, its replica, and a Sentinel that replaces one by the other."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import redis

from tests.integration.lookup_app.servers import PASSWORD, RedisServer, free_port, wait_until

SERVICE = "instruments"
_DOWN_AFTER_MS = 500


class Sentinels:
    """`with Sentinels(folder) as sentinels:`; one Sentinel decides alone."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.master, self.replica = (RedisServer(folder / name) for name in ("one", "two"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis+sentinel://:{quote(PASSWORD, safe='')}@127.0.0.1:{self._port}/{SERVICE}"

    def __enter__(self) -> Self:
        for server in (self.master, self.replica):
            server.folder.mkdir()
            server.start()
            server.admin.config_set("masterauth", PASSWORD)
        self.replica.admin.replicaof("127.0.0.1", str(self.master.port))
        config = self._folder / "sentinel.conf"
        config.write_text(
            f"port {self._port}\nbind 127.0.0.1\ndir {self._folder}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.master.port} 1\n"
            f'sentinel auth-pass {SERVICE} "{PASSWORD}"\n'
            f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {SERVICE} 5000\n"
        )
        self._process = subprocess.Popen(["redis-server", str(config), "--sentinel", "--logfile", "sentinel.log"])
        wait_until(self._knows_the_replica, "the Sentinel knows both")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.master.kill()
        self.replica.kill()

    def wait_for_replica(self) -> None:
        """Until the replica has what the master has."""
        wait_until(lambda: self.replica.admin.dbsize() == self.master.admin.dbsize() > 0, "the replica has caught up")

    def _knows_the_replica(self) -> bool:
        try:
            replicas = redis.Redis(port=self._port).sentinel_slaves(SERVICE)
        except redis.RedisError:
            return False
        return any(replica["flags"] == "slave" and replica["master-link-status"] == "ok" for replica in replicas)
