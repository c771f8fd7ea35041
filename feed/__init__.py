"""The feed: from a source of instruments to Kafka change records."""
