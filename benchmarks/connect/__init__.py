"""A Kafka Connect worker, and which sinks for Redis it is given to run."""
