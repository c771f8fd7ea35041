"""What a restore waits for, and when it begins again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from instrument_cache.errors import RestoreRefused, StoreUnavailable
from instrument_cache.restore.patience import Patience
from instrument_cache.store.target import Target


class Servers:
    """A client whose server changes with the calls of `info`."""

    def __init__(self, *run_ids: str) -> None:
        self._run_ids: Iterator[str] = iter(run_ids)

    def info(self, section: str) -> dict[str, str]:
        try:
            return {"run_id": next(self._run_ids)}
        except StopIteration:
            raise redis.ConnectionError("away") from None


def passes(*run_ids: str) -> int:
    done: list[int] = []
    Target(Servers(*run_ids)).on_one_server(lambda: done.append(1))  # type: ignore[arg-type]
    return len(done)


def test_it_is_done_again_until_one_server_saw_all_of_it() -> None:
    assert passes("a", "a") == 1
    assert passes("a", "b", "b", "b") == 2


def test_a_redis_that_fails_over_each_time_is_given_up() -> None:
    with pytest.raises(StoreUnavailable, match="failed over in each of 5 passes"):
        passes(*"abcdefghij")


def test_a_redis_that_is_away_is_said() -> None:
    with pytest.raises(StoreUnavailable, match="which server it is: away"):
        passes()


def test_only_what_is_away_is_tried_again() -> None:
    calls: list[int] = []

    def refused() -> None:
        calls.append(1)
        raise RestoreRefused("no")

    with pytest.raises(RestoreRefused):
        Patience(60).call(refused)
    assert len(calls) == 1
