"""The same log, applier and store as those of the change stream."""

from __future__ import annotations

from tests.integration.lookup_app.changes.conftest import kafka, redis_url, world

__all__ = ["kafka", "redis_url", "world"]
