"""The keys of a user of S3 are exchanged on a real server, while a client writes and reads without a pause."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from instrument_cache.connections import iam_client
from instrument_cache.errors import ObjectStoreUnavailable, RotationError
from instrument_cache.keys_file import keys_text, parse_keys
from instrument_cache.objects import ObjectStore
from instrument_cache.rotation.operation import SecretRotation
from instrument_cache.settings import Environment, s3_settings
from local_stack.instance import Instance
from tests.servers import free_port, process, redis_server, wait_until

NAME, USER = "s3:cache", "cache"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


class World:
    """An S3 server whose users another process keeps, and a user with one key."""

    def __init__(self, folder: Path, redis_url: str, servers: ExitStack) -> None:
        self.slot = folder / "s3_keys"
        s3_port, iam_port = free_port(), free_port()
        self.iam: Any = iam_client(f"http://127.0.0.1:{iam_port}", "root", "root-secret", "us-east-1")
        self._start(folder, s3_port, iam_port, servers)
        self.iam.create_user(UserName=USER)
        self.iam.put_user_policy(UserName=USER, PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
        key = self.iam.create_access_key(UserName=USER)["AccessKey"]
        self.slot.write_text(keys_text(key["AccessKeyId"], key["SecretAccessKey"]))
        self.env = Environment(
            {
                "ICACHE_REDIS_URL": redis_url,
                "ICACHE_S3_ENDPOINT": f"http://127.0.0.1:{s3_port}",
                "ICACHE_S3_KEYS_FILE": str(self.slot),
                "ICACHE_ROTATION_HOLDER": f"folder:{folder}",
                "ICACHE_ROTATION_SECRETS": f"{NAME}=s3_keys",
                "ICACHE_ROTATION_IAM_URL": f"http://127.0.0.1:{iam_port}",
                "ICACHE_ROTATION_IAM_ACCESS_KEY": "root",
                "ICACHE_ROTATION_IAM_SECRET_KEY": "root-secret",
                "ICACHE_ROTATION_GRACE_S": "2",
            }
        )
        self.objects = ObjectStore(s3_settings(self.env))
        self.rotation = SecretRotation(self.env)

    def _start(self, folder: Path, s3_port: int, iam_port: int, servers: ExitStack) -> None:
        for name in ("data", "iam", "versions"):
            (folder / name).mkdir()
        program, socket = str(Instance.from_environment().tools / "bin" / "versitygw"), str(folder / "iam.sock")
        users = ["--port", f"127.0.0.1:{iam_port}", "iam", "--dir", str(folder / "iam"), "--private-ports", socket]
        store = ["--port", f"127.0.0.1:{s3_port}", "--iam-standalone-endpoint", socket, "--iam-cache-ttl", "1"]
        store += ["posix", "--versioning-dir", str(folder / "versions"), str(folder / "data")]
        root = {**os.environ, "ROOT_ACCESS_KEY": "root", "ROOT_SECRET_KEY": "root-secret"}
        for arguments in (users, store):
            servers.enter_context(process([program, *arguments], root, folder / "log"))
            wait_until(lambda: self.iam.list_users(), what="the users' server")

    def statuses(self) -> dict[str, str]:
        """Access key → whether it is active."""
        listed = self.iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]
        return {key["AccessKeyId"]: key["Status"] for key in listed}

    def held(self) -> str:
        return parse_keys(self.slot.read_text())[0]

    def finish(self) -> None:
        wait_until(lambda: not self.rotation.finish([NAME], "run"), 60, what="nobody uses the old key")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "redis").mkdir()
    with ExitStack() as servers:
        url = servers.enter_context(redis_server(tmp_path / "redis", free_port(), "x"))
        made = World(tmp_path, url, servers)
        wait_until(lambda: made.objects.make_bucket() is None, what="S3")
        yield made


class Writer:
    """Writes an object and reads it, again and again. Use it in a `with`."""

    def __init__(self, objects: ObjectStore) -> None:
        self.done, self.errors = 0, list[str]()
        self._objects, self._ended = objects, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.005):
            key = f"object-{self.done}"
            try:
                self._objects.put_once(key, b"x")
                self._objects.get(key)
            except ObjectStoreUnavailable as error:
                self.errors.append(str(error))
            self.done += 1


@pytest.mark.timeout(120)
def test_no_request_fails_while_the_keys_rotate_and_roll_back(world: World) -> None:
    first = world.held()
    with Writer(world.objects) as writer:
        world.rotation.switch([NAME], "run")
        wait_until(lambda: world.rotation.finish([NAME], "run") and world.held() != first, what="the new key")
        second = world.held()
        world.rotation.switch([NAME], "run", back=True)
        assert world.held() == first, "the old key is known everywhere: nobody need wait"
        world.finish()
        assert world.statuses() == {first: "Active", second: "Inactive"}
        world.rotation.switch([NAME], "run")
        world.finish()
        count = writer.done
        wait_until(lambda: writer.done > count + 20, what="more requests")
    assert writer.errors == []
    assert world.statuses() == {first: "Inactive", world.held(): "Active"}, f"{second} was deleted"


def test_a_key_that_a_killed_run_left_is_replaced_and_one_in_use_is_not(world: World) -> None:
    left = world.iam.create_access_key(UserName=USER)["AccessKey"]
    world.rotation.switch([NAME], "run")
    assert left["AccessKeyId"] not in world.statuses()
    world.finish()
    (old,) = (key for key in world.statuses() if key != world.held())
    world.iam.delete_access_key(UserName=USER, AccessKeyId=old)
    other = world.iam.create_access_key(UserName=USER)["AccessKey"]
    its_file = world.slot.with_name("other")
    its_file.write_text(keys_text(other["AccessKeyId"], other["SecretAccessKey"]))
    settings = s3_settings(Environment({**world.env.variables, "ICACHE_S3_KEYS_FILE": str(its_file)}))
    assert list(ObjectStore(settings).keys("nothing")) == []
    refused = world.rotation.switch([NAME], "run")[NAME]
    assert "has a second key in use" in refused
    assert world.statuses()[other["AccessKeyId"]] == "Active"


def test_a_file_that_holds_no_keys_is_named_and_not_shown(world: World) -> None:
    world.slot.write_text("[default]\naws_secret_access_key = very-secret")
    with pytest.raises(ObjectStoreUnavailable, match="s3_keys' cannot be used: it has no section") as unusable:
        world.objects.get("x")
    with pytest.raises(RotationError, match="the slot holds no keys of S3") as refused:
        world.rotation.rotation(NAME).begin()
    assert "very-secret" not in str(unusable.value) + str(refused.value)
