"""One number for all that a store holds, so that two ends can be compared."""

from __future__ import annotations

import hashlib

import redis

from instrument_cache.contract import Contract


def store_hash(client: redis.Redis, contract: Contract) -> str:
    """SHA-256 over key, bytes and time of expiry of every key of the dataset, tombstones and aliases included."""
    prefixes = [contract.key_prefix, *(alias.prefix for alias in contract.aliases)]
    keys = sorted(key for prefix in prefixes for key in client.scan_iter(match=f"{prefix}:*", count=1000))
    digest = hashlib.sha256()
    for key in keys:
        digest.update(b"%b\0%b\0%d\n" % (key, client.get(key), client.pexpiretime(key)))
    return digest.hexdigest()
