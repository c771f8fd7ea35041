"""The lookup service of a drill: the product's own process, on a free port, reading the drill's Redis."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from instrument_cache.contract import Contract
from instrument_cache.drills.children import Children, free_port

_NAME: Final = "lookup"
_READY_S_MAX: Final = 60.0
_TIMEOUT_S: Final = 5.0
_PROJECT: Final = Path(__file__).resolve().parents[2]
# Who has to show a key in the drilled deployment, and where its other servers are, is none of a drill's business.
_KEPT: Final = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "ICACHE_CONTRACTS", "ICACHE_INSTANCE", "PYTHONPATH")


class LookupServer:
    """One worker of the lookup service. Its process is a child."""

    def __init__(self, children: Children, redis_url: str, contract: Contract) -> None:
        self._children, self._redis_url, self._contract = children, redis_url, contract
        self.port = free_port()

    def start(self) -> None:
        """Start it and wait until it is ready to serve. Raises DrillFailed."""
        command = [sys.executable, "-m", "lookup_app", "--host", "127.0.0.1", "--port", str(self.port)]
        self._children.start(_NAME, command, self._environment())
        self._children.await_ready(_NAME, lambda: self.connect().get("/readyz")[0] == 200, _READY_S_MAX)

    def connect(self) -> LookupConnection:
        """A connection of its own, for one thread."""
        return LookupConnection(self.port)

    def path(self, key: str) -> str:
        """Where an instrument is read."""
        return f"/v1/{self._contract.dataset}/{key}"

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        own = {
            "ICACHE_DATASET": self._contract.dataset,
            "ICACHE_REDIS_URL": self._redis_url,
            "ICACHE_LOOKUP_DRAIN_S": "0",
            "ICACHE_LOG_LEVEL": "WARNING",
            # A server that sets its own title would write it over the environment, and the stack's mark with it.
            "SPT_NOENV": "1",
        }
        paths = [str(_PROJECT), *filter(None, [kept.get("PYTHONPATH")])]
        return {**kept, **own, "PYTHONPATH": os.pathsep.join(paths)}


class LookupConnection:
    """Kept open from one request to the next; opened anew after an error."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)

    def get(self, path: str) -> tuple[int, bytes, bool]:
        """Status (0: no answer), body, and whether the answer is marked as stale."""
        try:
            self._http.request("GET", path)
            answer = self._http.getresponse()
            return answer.status, answer.read(), answer.headers.get("Warning") is not None
        except (OSError, http.client.HTTPException):
            self._http.close()
            return 0, b"", False

    def get_all(self, paths: Iterable[str]) -> list[int]:
        """The status of each."""
        return [self.get(path)[0] for path in paths]

    def close(self) -> None:
        """Give the connection back."""
        self._http.close()
