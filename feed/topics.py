"""The Kafka topics of a dataset: its changes (compacted) and its dead letters."""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from instrument_cache.dead_letters.letter import dead_letter_topic
from instrument_cache.errors import LogUnavailable
from instrument_cache.kafka import MESSAGE_BYTES_MAX

# Canaries come each second for ever, in segments that compaction would not touch for days: without this limit whoever
# reads the log from its beginning (a starting feed, a job without a checkpoint) would read millions of them.
_COMPACTION_LAG: Final = {"max.compaction.lag.ms": str(6 * 3600 * 1000)}
_TIMEOUT_S: Final = 20.0


def ensure_topics(bootstrap: str, dataset: str, partitions: int, replication: int) -> None:
    """Make the dataset's topics if they are not there. Raises LogUnavailable."""
    limit = {"max.message.bytes": str(MESSAGE_BYTES_MAX)}
    compacted = {"cleanup.policy": "compact", **_COMPACTION_LAG}
    changes = NewTopic(dataset, partitions, replication, config={**limit, **compacted})
    # Dead letters stay until somebody has dealt with them, within 90 days.
    letters = NewTopic(
        dead_letter_topic(dataset), partitions, replication, config={**limit, "retention.ms": "7776000000"}
    )
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
    for topic, future in admin.create_topics([changes, letters], request_timeout=_TIMEOUT_S).items():
        try:
            future.result(_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise LogUnavailable(f"the topic {topic!r} could not be made at {bootstrap}: {error}") from error
            if topic == dataset:
                _limit_compaction_lag(admin, topic)


def _limit_compaction_lag(admin: AdminClient, topic: str) -> None:
    """For a topic that was made before there were canaries."""
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in _COMPACTION_LAG.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    try:
        for future in admin.incremental_alter_configs([resource], request_timeout=_TIMEOUT_S).values():
            future.result(_TIMEOUT_S)
    except KafkaException as error:
        raise LogUnavailable(f"the topic {topic!r} did not take {_COMPACTION_LAG}: {error}") from error
