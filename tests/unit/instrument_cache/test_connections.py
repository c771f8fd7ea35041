"""How a Redis URL names the password, or the file that it is read from for each connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from instrument_cache.connections import redis_client
from instrument_cache.errors import SettingsError


def credentials(url: str) -> Any:
    client: Any = redis_client(url, name="test")
    return client.connection_pool.connection_kwargs["credential_provider"].get_credentials()


@pytest.mark.parametrize(
    ("begin", "expected"),
    [
        ("redis://127.0.0.1:1/0?db=1&", ("first",)),
        ("rediss://reader@cache.example/0?", ("reader", "first")),
        ("unix:///run/redis.sock?", ("first",)),
        ("redis+sentinel://a%3Ab@one:1,two:2/main?sentinel_password=x&", ("a:b", "first")),
    ],
)
def test_the_password_is_what_the_file_holds_now(tmp_path: Path, begin: str, expected: tuple[str, ...]) -> None:
    file = tmp_path / "pass word"
    file.write_text("first\n")
    url = f"{begin}password_file={str(file).replace(' ', '%20')}"
    assert credentials(url) == expected
    file.write_text("second")
    assert credentials(url) == (*expected[:-1], "second")


def test_a_file_that_cannot_be_read_is_a_redis_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(RedisConnectionError, match=r"cannot be read from the file '.*nowhere': No such file"):
        credentials(f"redis://127.0.0.1:1/0?password_file={tmp_path}/nowhere")


@pytest.mark.parametrize("url", ["redis://:secret@x/0?password_file=/f", "redis://x/0?password_file="])
def test_not_both_and_not_neither(url: str) -> None:
    with pytest.raises(SettingsError, match="a password, or the path of its file") as refused:
        redis_client(url, name="test")
    assert "secret" not in str(refused.value)
