from __future__ import annotations

from pathlib import Path

import redis

from instrument_cache.launch_lock import launch_lock
from instrument_cache.settings import Environment
from instrument_cache_airflow.launchers import LaunchersOfStream, stream_launchers
from tests.servers import free_port, redis_server


def test_a_launcher_is_at_work_while_it_holds_its_lock(tmp_path: Path) -> None:
    with redis_server(tmp_path, free_port(), "secret") as url:
        client = redis.Redis.from_url(url)
        launchers = stream_launchers("instruments", Environment({"ICACHE_REDIS_URL": url}))
        assert launchers is not None
        assert not launchers.at_work()
        client.set(launch_lock("instruments"), "token")
        assert launchers.at_work()
        assert not LaunchersOfStream(client, "issuers").at_work()


def test_what_cannot_be_asked_counts_as_nobody() -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    launchers = stream_launchers("instruments", Environment({"ICACHE_REDIS_URL": url}))
    assert launchers is not None
    assert not launchers.at_work()


def test_airflow_without_redis_watches_without_it() -> None:
    assert stream_launchers("instruments", Environment({})) is None
