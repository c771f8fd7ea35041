"""The near cache: what was read from Redis, kept no longer than it is known to be true (docs/lookup-cache.md)."""
