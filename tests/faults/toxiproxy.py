"""A slow and torn network between Redis and those who use it: toxiproxy, as one more part of the stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from local_stack.components.component import Component, answers
from local_stack.instance import Instance, write_private


@dataclass(frozen=True)
class Toxiproxy:
    """One proxy, `redis`, at `port` in front of the instance's Redis; `api_port` takes the orders."""

    api_port: int
    port: int
    seed: int

    def component(self) -> Component:
        return Component(
            name="toxiproxy",
            command=self._command,
            prepare=self._prepare,
            is_ready=lambda instance: answers(f"{self._api}/version"),
            needs=("redis",),
        )

    def url(self, instance: Instance) -> str:
        """The instance's Redis by way of the proxy."""
        return instance.redis_url.replace(f":{instance.port('redis')}/", f":{self.port}/")

    @contextmanager
    def toxic(self, kind: str, toxicity: float = 1.0, **attributes: Any) -> Iterator[None]:
        """A toxic of toxiproxy's `kind` for the block's time; `toxicity` is the share of connections that get it."""
        body = {"name": kind, "type": kind, "stream": "downstream", "toxicity": toxicity, "attributes": attributes}
        httpx.post(f"{self._api}/proxies/redis/toxics", json=body, trust_env=False).raise_for_status()
        try:
            yield
        finally:
            httpx.delete(f"{self._api}/proxies/redis/toxics/{kind}", trust_env=False).raise_for_status()

    @property
    def _api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def _command(self, instance: Instance) -> list[str]:
        server = str(instance.tools / "bin" / "toxiproxy-server")
        address = ("-host", "127.0.0.1", "-port", str(self.api_port))
        return [server, *address, "-seed", str(self.seed), "-config", str(instance.home / "conf" / "toxiproxy.json")]

    def _prepare(self, instance: Instance) -> None:
        upstream = f"127.0.0.1:{instance.port('redis')}"
        proxy = {"name": "redis", "listen": f"127.0.0.1:{self.port}", "upstream": upstream, "enabled": True}
        write_private(instance.folder("conf") / "toxiproxy.json", json.dumps([proxy]))
