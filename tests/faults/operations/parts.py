"""The servers that operations work with: Redis, Kafka, two regions of S3 and the source, without Flink and Airflow.

What an operation asks of S3 and of the source goes through proxies. Its scratch files lie on a small disk of their own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from local_stack.instance import PROJECT, Instance
from local_stack.processes import end, marked
from local_stack.stack import component
from local_stack.supervisor import Supervisor
from local_stack.up import start, stop_all
from tests.faults.disk import small_disk
from tests.faults.toxiproxy import Toxiproxy
from tests.servers import free_port, free_port_offset

_PARTS: Final = ("redis", "kafka", "s3", "s3-second", "simulator")
_PROXIED: Final = ("s3", "s3-second", "simulator")


@dataclass(frozen=True)
class Parts:
    """`scratch` is the folder of an operation's scratch files, `proxies` are by the name of what is behind them."""

    instance: Instance
    proxies: dict[str, Toxiproxy]
    scratch: Path

    def settings(self, dataset: str) -> dict[str, str]:
        """For a new dataset, whose contract is that of the instruments; it reaches each part directly."""
        contract = (PROJECT / "contracts" / "instruments.yaml").read_text().replace("id: instruments", f"id: {dataset}")
        folder = self.instance.folder("contracts", dataset)
        (folder / f"{dataset}.yaml").write_text(contract)
        own = {
            "ICACHE_DATASET": dataset,
            "ICACHE_CONTRACTS": str(folder),
            "ICACHE_S3_BUCKET": dataset,
            "ICACHE_S3_SECOND_BUCKET": dataset,
            "ICACHE_BACKUP_BUCKET": f"backup-{dataset}",
            "ICACHE_BACKUP_LOCK_HOURS": "0",
            "ICACHE_BACKUP_KEEP_COUNT": "1",
            "ICACHE_BACKUP_KEEP_DAYS": "1",
            "ICACHE_BACKUP_RDB": "false",
        }
        return {**self.instance.settings(), **own}

    def through_proxies(self, settings: dict[str, str]) -> dict[str, str]:
        """The same settings for a process of an operation. ICACHE_INSTANCE marks it and its children."""
        source = urlsplit(settings["ICACHE_SOURCE_URL"])
        by_proxy = source._replace(netloc=f"127.0.0.1:{self.proxies['simulator'].port}").geturl()
        own = {
            "ICACHE_S3_ENDPOINT": self.proxies["s3"].http_url,
            "ICACHE_S3_SECOND_ENDPOINT": self.proxies["s3-second"].http_url,
            "ICACHE_SOURCE_URL": by_proxy,
            "ICACHE_INSTANCE": str(self.scratch),
            "TMPDIR": str(self.scratch),
        }
        return {**settings, **own}

    def processes(self) -> set[int]:
        """What a try has started and is not gone."""
        return marked(str(self.scratch))


@contextmanager
def running_parts(seed: int) -> Iterator[Parts]:
    """All of them, in a new folder on free ports; ICACHE_TEST_KEEP keeps their logs."""
    home = Path(tempfile.mkdtemp(prefix="icache-"))
    instance = Instance(home, Instance.from_environment().tools, free_port_offset())
    proxies = {name: Toxiproxy(free_port(), free_port(), seed, name) for name in _PROXIED}
    try:
        with small_disk(home / "scratch"):
            try:
                _start(instance, proxies)
                yield Parts(instance, proxies, home / "scratch")
            finally:
                end(marked(str(home / "scratch")), grace_s=0.0)
                stop_all(instance)
                end(marked(str(home)), grace_s=0.0)
    finally:
        if os.environ.get("ICACHE_TEST_KEEP"):
            print(f"logs are kept in {home}/log")
        else:
            shutil.rmtree(home, ignore_errors=True)


def _start(instance: Instance, proxies: dict[str, Toxiproxy]) -> None:
    instance.make_secrets()
    components = [*map(component, _PARTS), *(proxy.component() for proxy in proxies.values())]
    supervisor = Supervisor(instance)
    supervisor.ensure(components)
    for part in components:
        start(instance, supervisor, part)
