"""A client may ask so often, and no other client notices."""

from __future__ import annotations

import re

import pytest

from lookup_app.problems import Problem, ProblemType
from lookup_app.protection.rate_limit import RateLimit
from lookup_app.protection.settings import RateSettings


def limit(per_s: float = 10, burst: int = 5, clients_max: int = 100) -> RateLimit:
    return RateLimit(RateSettings(per_s, burst, clients_max))


def taken(limit: RateLimit, client: str, now_s: float, cost: int = 1) -> bool:
    try:
        limit.take(client, cost, now_s)
    except Problem as problem:
        if problem.kind is ProblemType.RATE_LIMITED:
            return False
        raise
    return True


def test_a_burst_then_the_rate() -> None:
    bucket = limit()
    assert [taken(bucket, "a", 100.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [taken(bucket, "a", 100.1), taken(bucket, "a", 100.1)] == [True, False]
    assert sum(taken(bucket, "a", 100.1 + step / 100) for step in range(1, 1001)) == 100
    assert [taken(bucket, "a", 200.0) for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize("per_s", [1, 3, 7, 1000, 0.3])
def test_a_full_bucket_gives_exactly_its_burst(per_s: float) -> None:
    bucket = limit(per_s, 11)
    assert sum(taken(bucket, "a", 1234.567) for _ in range(20)) == 11


def test_clients_do_not_share() -> None:
    bucket = limit(burst=1)
    assert [taken(bucket, client, 0.0) for client in "aabb"] == [True, False, True, False]


def test_headers() -> None:
    bucket = limit()
    headers = dict(bucket.take("a", 1, 100.0))
    assert headers == {"RateLimit-Policy": '"default";q=5;w=1', "RateLimit": '"default";r=4;t=1'}
    remaining = [dict(bucket.take("a", 1, 100.0))["RateLimit"] for _ in range(4)]
    assert [re.findall(r"r=(\d+)", text)[0] for text in remaining] == ["3", "2", "1", "0"]


def test_a_refusal_says_when_and_costs_nothing() -> None:
    bucket = limit(per_s=0.5, burst=2)
    bucket.take("a", 2, 100.0)
    for _ in range(3):
        with pytest.raises(Problem) as raised:
            bucket.take("a", 1, 100.0)
    headers = raised.value.headers
    assert (headers["Retry-After"], headers["RateLimit"]) == ("2", '"default";r=0;t=4')
    assert headers["Cache-Control"] == "no-store"
    assert not taken(bucket, "a", 101.9)
    assert taken(bucket, "a", 102.0)


def test_dear_requests() -> None:
    bucket = limit(per_s=10, burst=5)
    assert taken(bucket, "a", 0.0, cost=4)
    assert not taken(bucket, "a", 0.0, cost=2)
    assert taken(bucket, "a", 0.0, cost=1)
    assert taken(bucket, "a", 10.0, cost=11), "dearer than the whole bucket: it passes when that is full"
    assert not taken(bucket, "a", 10.65, cost=1), "and is paid for afterwards"
    assert taken(bucket, "a", 10.75, cost=1)


def test_the_number_of_clients_is_bounded() -> None:
    bucket = limit(per_s=1, burst=2, clients_max=10)
    for number in range(10):
        bucket.take(str(number), 1, 0.0)
    assert [taken(bucket, f"more {number}", 0.0) for number in range(4)] == [True, True, False, False]
    assert bucket.clients <= 11
    assert taken(bucket, "0", 0.0), "who was there keeps his own"
    assert taken(bucket, "later", 5.0), "those who are gone made room"
    assert bucket.clients == 1
