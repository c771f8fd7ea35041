"""The streaming job: Kafka change records → the versioned store, rejects → the dead-letter topic."""
