"""The simulated source and the feed beside a benchmark's stack, so that rows can be published where users publish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from local_stack.components.product import FEED, SIMULATOR
from local_stack.instance import Instance
from local_stack.supervisor import Supervisor
from local_stack.up import start, stop_all


@contextmanager
def source_stack(own: Instance, status: Callable[[str], None]) -> Iterator[Instance]:
    """Start both; they go with the block. Yields the instance of the source; the feed writes to the Kafka of `own`."""
    source = Instance(own.home / "source", own.tools, own.port_offset)
    source.make_secrets()

    def feed_environment(instance: Instance) -> dict[str, str]:
        at_own = {"ICACHE_KAFKA_BOOTSTRAP": own.kafka, "ICACHE_REDIS_URL": own.redis_url}
        return {**FEED.environment(instance), **at_own}

    components = [SIMULATOR, replace(FEED, environment=feed_environment)]
    supervisor = Supervisor(source)
    try:
        supervisor.ensure(components)
        for component in components:
            status(f"starting {component.name}")
            start(source, supervisor, component)
        yield source
    finally:
        stop_all(source)
