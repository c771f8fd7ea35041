"""The password of a Redis user is exchanged on real servers: a primary with a replica, and one with a file of users."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from instrument_cache.connections import redis_client
from instrument_cache.errors import RotationError, StoreUnavailable
from instrument_cache.rotation.exchange import Rotation
from instrument_cache.rotation.folder_holder import FolderHolder
from instrument_cache.rotation.redis_user import RedisUser
from tests.servers import free_port, process, wait_until

ONCE = Retry(NoBackoff(), 0)
FIRST = "first-password"


class Group:
    """A primary and a replica; both keep their users in the file that they were started from."""

    def __init__(self, folder: Path, servers: ExitStack) -> None:
        self.slots, self.ports = folder / "secrets", (free_port(), free_port())
        self.slots.mkdir()
        (self.slots / "redis_password").write_text(FIRST)
        primary, replica = self.ports
        for port, more in ((primary, ""), (replica, f"replicaof 127.0.0.1 {primary}\n")):
            own = folder / str(port)
            own.mkdir()
            config = f"port {port}\nbind 127.0.0.1\ndir {own}\nsave ''\nrequirepass {FIRST}\nmasterauth {FIRST}\n{more}"
            config += "repl-diskless-sync-delay 0\n"
            (own / "redis.conf").write_text(config)
            servers.enter_context(process(["redis-server", str(own / "redis.conf")], log=own / "redis.log"))
        wait_until(self.follows, what="the replica follows")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.ports[0]}/0?password_file={self.slots}/redis_password"

    @property
    def client(self) -> redis.Redis:
        return redis_client(self.url, name="test")

    def follows(self) -> bool:
        return bool(self.client.info("replication")["slave0"]["state"] == "online")

    def rotation(self, user: str = "default", slot: str = "redis_password", watch_s: float = 0.0) -> Rotation:
        """As a new process makes it."""
        return Rotation(f"redis:{user}", slot, FolderHolder(self.slots), RedisUser(self.client, user), watch_s=watch_s)

    def password(self, slot: str = "redis_password") -> str:
        return (self.slots / slot).read_text()

    def logs_in(self, port: int, password: str, user: str = "default") -> bool:
        try:
            return bool(redis.Redis(port=port, username=user, password=password, retry=ONCE).ping())
        except redis.AuthenticationError:
            return False


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    with ExitStack() as servers:
        yield Group(tmp_path, servers)


def exchange(rotation: Rotation) -> None:
    rotation.begin()
    rotation.switch()
    rotation.finish()


def test_who_is_connected_stays_and_who_connects_uses_the_new_one(group: Group) -> None:
    connected = group.client
    connected.set("key", "value")
    group.rotation().begin()
    group.rotation().switch()
    second = group.password()
    assert second != FIRST
    assert all(group.logs_in(port, password) for port in group.ports for password in (FIRST, second))
    group.rotation().finish()
    assert [group.logs_in(port, password) for port in group.ports for password in (FIRST, second)] == [False, True] * 2
    assert connected.get("key") == b"value"
    # Every connection is cut, that of the replica too: all log in anew.
    connected.client_kill_filter(skipme=False, _type="normal")
    group.client.client_kill_filter(_type="replica")
    assert connected.get("key") == b"value"
    wait_until(group.follows, what="the replica follows with the new password")
    assert [path.name for path in group.slots.iterdir()] == ["redis_password"]


def test_the_new_password_outlives_a_restart(group: Group, tmp_path: Path) -> None:
    exchange(group.rotation())
    replica = group.ports[1]
    redis.Redis(port=replica, password=group.password(), retry=ONCE).shutdown(nosave=True)
    config = tmp_path / str(replica) / "redis.conf"
    assert group.password() not in "".join(
        line for line in config.read_text().splitlines() if not line.startswith("masterauth")
    ), "only its hash is kept"
    with process(["redis-server", str(config)], log=tmp_path / "again.log"):
        wait_until(lambda: group.logs_in(replica, group.password()), what="the replica is back")
        assert not group.logs_in(replica, FIRST)


def test_a_user_of_its_own_is_rotated_and_turned_back(group: Group) -> None:
    (group.slots / "reader").write_text("reads")
    for port in group.ports:
        admin = redis.Redis(port=port, password=FIRST)
        rights: dict[str, Any] = {"keys": ["*"], "categories": ["+@read"], "commands": ["+ping"]}
        admin.acl_setuser("reader", enabled=True, passwords=["+reads"], **rights)
    rotation = group.rotation("reader", "reader")
    rotation.begin()
    rotation.switch()
    new = group.password("reader")
    rotation.turn_back()
    rotation.switch()
    rotation.finish()
    assert group.password("reader") == "reads"
    assert [group.logs_in(port, "reads", "reader") for port in group.ports] == [True, True]
    assert not group.logs_in(group.ports[0], new, "reader")


def test_who_comes_with_the_old_password_afterwards_brings_it_back(group: Group) -> None:
    rotation = group.rotation(watch_s=30.0)
    rotation.begin()
    rotation.switch()
    late = redis.Redis(port=group.ports[1], password=FIRST, retry=ONCE)
    removed = RedisUser.remove

    class Late(RedisUser):
        def remove(self, secret: str) -> None:
            removed(self, secret)
            with pytest.raises(redis.AuthenticationError):
                late.ping()

    watched = Rotation("redis:default", "redis_password", FolderHolder(group.slots), Late(group.client), watch_s=30.0)
    with pytest.raises(RotationError, match=r"a login as 'default' from 127\.0\.0\.1:\d+ failed; have them read"):
        watched.finish()
    assert late.ping()
    assert all(group.logs_in(port, group.password()) for port in group.ports)


def test_a_user_that_is_not_there_and_a_redis_that_is_away(group: Group) -> None:
    (group.slots / "nobody").write_text("x")
    with pytest.raises(StoreUnavailable, match="there is no user 'nobody'"):
        group.rotation("nobody", "nobody").begin()
    away = RedisUser(redis_client(f"redis://127.0.0.1:{free_port()}", name="test", timeout_s=0.2))
    with pytest.raises(StoreUnavailable, match="took no second password of the user 'default'"):
        away.add("x", like="y")
    for ask in (away.accepts, away.remove):
        with pytest.raises(StoreUnavailable):
            ask("x")


def test_users_in_a_file_of_their_own(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "users.acl"
    file.write_text("user default on >first-password ~* &* +@all\n")
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    command += ["--aclfile", str(file)]
    with process(command):
        client = redis.Redis(port=port, password=FIRST)
        wait_until(client.ping, what="Redis")
        issuer = RedisUser(client)
        issuer.add("second", like=FIRST)
        issuer.remove(FIRST)
        assert issuer.accepts("second")
        assert not issuer.accepts(FIRST)
    with process(command):
        wait_until(redis.Redis(port=port, password="second", retry=ONCE).ping, what="Redis with the new password")
