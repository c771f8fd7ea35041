"""Redis: password, append-only file, no eviction."""

from __future__ import annotations

from instrument_cache.connections import redis_client
from local_stack.components.component import Component
from local_stack.instance import Instance, write_private


def _config(instance: Instance) -> str:
    # Rewriting the append-only file while it is small costs more than the room that it gives back.
    return f"""\
bind 127.0.0.1
port {instance.port("redis")}
requirepass {instance.secret("redis_password")}
dir {instance.folder("data", "redis")}
daemonize no
set-proc-title no
save ""
appendonly yes
appendfsync everysec
auto-aof-rewrite-min-size 1gb
maxmemory-policy noeviction
client-output-buffer-limit normal 256mb 128mb 10
"""


def _prepare(instance: Instance) -> None:
    write_private(instance.folder("conf") / "redis.conf", _config(instance))


def _is_ready(instance: Instance) -> bool:
    return bool(redis_client(instance.redis_url, name="stack", timeout_s=2.0).ping())


REDIS = Component(
    name="redis",
    command=lambda instance: ["redis-server", str(instance.home / "conf" / "redis.conf")],
    prepare=_prepare,
    is_ready=_is_ready,
    ports=("redis",),
)
