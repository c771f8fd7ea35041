"""`python -m exporter [--host H] [--port P]`: serves the metrics of the dataset until it is told to stop."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

import structlog

from exporter.collector import StreamCollector, registry
from exporter.sampler import keep_measuring, measuring
from exporter.server import make_server
from instrument_cache.asking.figures import account_check, feed_part, kafka_part, redis_part
from instrument_cache.clock import SystemClock
from instrument_cache.connections import redis_client
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.freshness import FreshnessProbe, freshness_limits
from instrument_cache.kafka import topic_spans
from instrument_cache.logs import configure_logging
from instrument_cache.settings import Environment, environment, redis_url
from instrument_cache.store.redis import RedisStore

logger = structlog.get_logger()


def collector(env: Environment) -> StreamCollector:
    """What the settings describe; nothing is connected yet. Raises SettingsError."""
    dataset, bootstrap = env.text("ICACHE_DATASET", "instruments"), env.text("ICACHE_KAFKA_BOOTSTRAP")
    deadline_s = env.integer("ICACHE_EXPORTER_DEADLINE_MS", default=2000, low=100, high=30_000) / 1000
    client = redis_client(redis_url(env), name="exporter", timeout_s=deadline_s)
    store = RedisStore(client, dataset)
    parts = [redis_part(client, store, dataset), kafka_part(lambda: topic_spans(bootstrap, dataset))]
    if path := env.variables.get("ICACHE_FEED_STATE_FILE"):
        parts.append(feed_part(Path(path), SystemClock()))
    probe = FreshnessProbe(store, dataset, lambda: {}, freshness_limits(env))
    every_s = env.integer("ICACHE_EXPORTER_CHECK_S", default=600, low=10, high=86_400)
    return StreamCollector(dataset, parts, account_check(store, bootstrap, dataset, every_s), probe, deadline_s)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m exporter", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8085, help="port to listen on (default: 8085; 0: any)")
    options = parser.parse_args(arguments)
    configure_logging("exporter")
    server = make_server(options.host, options.port, registry(collector(environment())))
    stop = threading.Event()
    keep_measuring(measuring(environment()), stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        # From a thread: a server cannot be shut down by the thread that serves.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    logger.info("exporter_ready", host=options.host, port=server.server_port)
    server.serve_forever()
    stop.set()
    server.server_close()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InstrumentCacheError as error:
        logger.error("exporter_stopped", error=str(error))
        sys.exit(1)
