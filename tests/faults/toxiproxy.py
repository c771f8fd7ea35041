"""A slow, torn or missing network between a part and those who use it: toxiproxy, as one more part of the stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from local_stack.components.component import Component, answers
from local_stack.instance import Instance, write_private


@dataclass(frozen=True)
class Toxiproxy:
    """One proxy at `port` in front of the instance's part `upstream`; `api_port` takes the orders."""

    api_port: int
    port: int
    seed: int
    upstream: str = "redis"

    @property
    def name(self) -> str:
        return f"toxiproxy-{self.upstream}"

    def component(self) -> Component:
        return Component(
            name=self.name,
            command=self._command,
            prepare=self._prepare,
            is_ready=lambda instance: answers(f"{self._api}/version"),
            needs=(self.upstream,),
        )

    def url(self, instance: Instance) -> str:
        """The instance's Redis by way of the proxy."""
        return instance.redis_url.replace(f":{instance.port('redis')}/", f":{self.port}/")

    @property
    def http_url(self) -> str:
        """An upstream that speaks HTTP, by way of the proxy."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def toxic(self, kind: str, toxicity: float = 1.0, **attributes: Any) -> Iterator[None]:
        """A toxic of toxiproxy's `kind` for the block's time; `toxicity` is the share of connections that get it."""
        body = {"name": kind, "type": kind, "stream": "downstream", "toxicity": toxicity, "attributes": attributes}
        httpx.post(f"{self._proxy}/toxics", json=body, trust_env=False).raise_for_status()
        try:
            yield
        finally:
            httpx.delete(f"{self._proxy}/toxics/{kind}", trust_env=False).raise_for_status()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody listens there for the block's time, and what is connected is cut."""
        self._enable(False)
        try:
            yield
        finally:
            self._enable(True)

    def _enable(self, enabled: bool) -> None:
        httpx.post(self._proxy, json={"enabled": enabled}, trust_env=False).raise_for_status()

    @property
    def _api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def _proxy(self) -> str:
        return f"{self._api}/proxies/{self.upstream}"

    def _command(self, instance: Instance) -> list[str]:
        server = str(instance.tools / "bin" / "toxiproxy-server")
        address = ("-host", "127.0.0.1", "-port", str(self.api_port))
        return [server, *address, "-seed", str(self.seed), "-config", str(self._file(instance))]

    def _prepare(self, instance: Instance) -> None:
        upstream = f"127.0.0.1:{instance.port(self.upstream)}"
        proxy = {"name": self.upstream, "listen": f"127.0.0.1:{self.port}", "upstream": upstream, "enabled": True}
        write_private(self._file(instance), json.dumps([proxy]))

    def _file(self, instance: Instance) -> Path:
        return instance.folder("conf") / f"{self.name}.json"
