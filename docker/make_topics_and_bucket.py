"""Makes the dataset's Kafka topics and the S3 bucket if they are not there; run before the parts that need them."""

from __future__ import annotations

import sys
from typing import Final

import structlog

from feed.topics import ensure_topics
from instrument_cache.connections import s3_client
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.logs import configure_logging
from instrument_cache.settings import Environment, environment, s3_settings
from local_stack.components.kafka import PARTITIONS

logger = structlog.get_logger()
_REPLICATION: Final = 1  # one broker


def make_bucket(env: Environment) -> None:
    """Make the bucket of ICACHE_S3_BUCKET."""
    settings = s3_settings(env)
    client = s3_client(settings)
    if settings.bucket not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=settings.bucket)


def main() -> int:
    configure_logging("init")
    env = environment()
    dataset = env.text("ICACHE_DATASET", "instruments")
    try:
        ensure_topics(env.text("ICACHE_KAFKA_BOOTSTRAP"), dataset, PARTITIONS, _REPLICATION)
        make_bucket(env)
    except InstrumentCacheError as error:
        logger.error("failed", error=str(error))
        return 1
    logger.info("topics_and_bucket_ready", dataset=dataset)
    return 0


if __name__ == "__main__":
    sys.exit(main())
