"""The Kafka topics of a dataset: its changes (compacted) and its dead letters."""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from instrument_cache.errors import LogUnavailable

MESSAGE_BYTES_MAX: Final = 20_000_000
_TIMEOUT_S: Final = 20.0


def dead_letter_topic(dataset: str) -> str:
    """`instruments.dead-letter`."""
    return f"{dataset}.dead-letter"


def ensure_topics(bootstrap: str, dataset: str, partitions: int, replication: int) -> None:
    """Make the dataset's topics if they are not there. Raises LogUnavailable."""
    limit = {"max.message.bytes": str(MESSAGE_BYTES_MAX)}
    changes = NewTopic(dataset, partitions, replication, config={**limit, "cleanup.policy": "compact"})
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
