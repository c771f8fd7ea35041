"""Real Sentinels: the doctor says whether they could elect a new primary."""

from __future__ import annotations

from pathlib import Path

from instrument_cache.doctor.redis_part import look_at_redis, look_at_sentinels
from instrument_cache.drills.children import Children
from instrument_cache.drills.sentinel_group import SentinelGroup
from instrument_cache.settings import Environment
from tests.servers import wait_until


def test_sentinels_without_a_quorum_are_named(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        group = SentinelGroup(children, replicas=1)
        group.start()
        env = Environment({"ICACHE_REDIS_URL": group.url, "ICACHE_FLINK_URL": "http://127.0.0.1:9"})
        assert [found.severity for found in look_at_redis(env)] == ["ok"]
        (found,) = look_at_sentinels(env)
        assert (found.severity, found.sentence) == ("ok", "3 Sentinels can elect a new primary of 'instruments'")
        children.kill("group-sentinel-0")
        (found,) = look_at_sentinels(env)
        assert found.severity == "warn"
        children.kill("group-sentinel-1")
        wait_until(lambda: "NOQUORUM" in next(look_at_sentinels(env)).sentence, 60, what="a Sentinel that is alone")
        (found,) = look_at_sentinels(env)
        assert found.severity == "red"
        assert "nobody takes over if the primary dies" in found.why
