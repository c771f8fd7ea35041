"""Where the feed writes change records: Kafka, and an in-memory twin."""
