"""Makes the dataset's Kafka topics and the S3 buckets if they are not there; run before the parts that need them."""

from __future__ import annotations

import sys
from typing import Final

import structlog

from feed.topics import ensure_topics
from instrument_cache.audit.places import ensure_audit_buckets
from instrument_cache.backup.region import ensure_backup_buckets
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.logs import configure_logging
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import Environment, environment, s3_second_settings, s3_settings
from local_stack.components.kafka import PARTITIONS

logger = structlog.get_logger()
_REPLICATION: Final = 1  # one broker


def make_buckets(env: Environment) -> None:
    """Make the bucket of each region, and in each region those of the backups and of the audit trail."""
    for settings in (s3_settings(env), s3_second_settings(env)):
        if settings:
            ObjectStore(settings).make_bucket()
    ensure_backup_buckets(env)
    ensure_audit_buckets(env)


def main() -> int:
    configure_logging("init")
    env = environment()
    dataset = env.text("ICACHE_DATASET", "instruments")
    try:
        ensure_topics(env.text("ICACHE_KAFKA_BOOTSTRAP"), dataset, PARTITIONS, _REPLICATION)
        make_buckets(env)
    except InstrumentCacheError as error:
        logger.error("failed", error=str(error))
        return 1
    logger.info("topics_and_buckets_ready", dataset=dataset)
    return 0


if __name__ == "__main__":
    sys.exit(main())
