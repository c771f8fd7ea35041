"""The password of a whole Sentinel group is exchanged, and the group still fails over."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import redis

from instrument_cache.connections import redis_client
from instrument_cache.drills.children import Children
from instrument_cache.drills.sentinel_group import SentinelGroup
from instrument_cache.rotation.operation import SecretRotation
from instrument_cache.settings import Environment
from tests.servers import wait_until

NAME = "redis:default"


@pytest.mark.timeout(120)
def test_a_group_fails_over_with_the_new_password(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        group = SentinelGroup(children)
        group.start()
        parts = urlsplit(group.url)
        first = unquote(parts.password or "")
        (tmp_path / "redis_password").write_text(first)
        url = f"redis+sentinel://{parts.netloc.rpartition('@')[2]}{parts.path}?password_file={tmp_path}/redis_password"
        client = redis_client(url, name="test")
        client.set("key", "before")
        settings = {
            "ICACHE_REDIS_URL": url,
            "ICACHE_ROTATION_HOLDER": f"folder:{tmp_path}",
            "ICACHE_ROTATION_SECRETS": f"{NAME}=redis_password",
            "ICACHE_ROTATION_GRACE_S": "0",
            "ICACHE_ROTATION_WATCH_S": "0",
        }
        rotation = SecretRotation(Environment(settings))
        assert rotation.switch([NAME], "run") == {NAME: ""}
        assert rotation.finish([NAME], "run") == {}
        lost = group.primary_port()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=lost, password=first).ping()
        group.kill_primary()
        wait_until(lambda: group.primary_port() != lost, 60, what="another primary")
        # A write is taken only when a replica follows, and it logs in to the new primary with the new password.
        wait_until(lambda: client.set("key", "after"), 60, what="a write")
        assert client.get("key") == b"after"
