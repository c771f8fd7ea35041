"""API keys: what is refused, what is remembered, and for how long without Redis."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from instrument_cache.api_keys import ApiKeyRecord, hash_of, parse
from instrument_cache.errors import StoreUnavailable
from lookup_app.problems import Problem, ProblemType
from lookup_app.protection.api_keys import ASIDE_TTLS, ApiKeys
from lookup_app.protection.identity import Identity
from lookup_app.protection.settings import ApiKeySettings

ID, SECRET = "0123456789ab", "f" * 64
KEY = f"icache_{ID}_{SECRET}"
ASIDE_S = ASIDE_TTLS * ApiKeySettings().ttl_s
GOOD = ApiKeyRecord(hash_of(SECRET), "desk-1", ("instruments",), created_at=1)


class Records:
    """What Redis holds, in memory: the real one has tests of its own."""

    def __init__(self) -> None:
        self.records = {ID: GOOD}
        self.away, self.reads, self.now_s = False, 0, 5000.0
        self.keys = ApiKeys(
            ApiKeySettings(age_s_max=60), ("instruments", "issuers"), self, ("ApiKey",), self.now, self.now
        )

    def now(self) -> float:
        return self.now_s

    def get(self, ids: Sequence[str]) -> list[ApiKeyRecord | None]:
        self.reads += 1
        if self.away:
            raise StoreUnavailable("connection refused")
        return [self.records.get(id_) for id_ in ids]

    def change(self, **changes: object) -> None:
        self.records[ID] = msgspec.structs.replace(self.records[ID], **changes)


@pytest.fixture
def records() -> Records:
    return Records()


def refusal(records: Records, key: str) -> Problem:
    with pytest.raises(Problem) as raised:
        records.keys.identify(key, records.now_s)
    return raised.value


def test_a_good_key(records: Records) -> None:
    identity = records.keys.identify(KEY, records.now_s)
    assert identity == Identity("api-key:desk-1", frozenset({"instruments"}), records.now_s + 60)
    records.change(datasets=("*",))
    assert records.keys.identify(KEY, records.now_s).datasets == {"instruments", "issuers"}


@pytest.mark.parametrize(
    "key",
    [
        *("", "garbage", "icache_", f"icache_{ID}", f"icache_{ID}_", f"icache_{ID}_{SECRET}0", f"{KEY}\n"),
        *(KEY.upper(), f"icache_{ID}_{chr(0xFF10) * 64}", f"icache_*_{SECRET}", f"icache_{ID[:-1]}*_{SECRET}"),
    ],
)
def test_another_form_is_not_asked_of_redis(records: Records, key: str) -> None:
    assert refusal(records, key).kind is ProblemType.UNAUTHENTICATED
    assert parse(key) is None
    assert records.reads == 0


@pytest.mark.parametrize(
    ("changes", "key", "detail"),
    [
        ({}, f"icache_{ID}_{'0' * 64}", "not known"),
        ({}, f"icache_{'0' * 12}_{SECRET}", "not known"),
        ({"hash": ""}, KEY, "not known"),
        ({"revoked_at": 4000}, KEY, "revoked"),
        ({"revoked_at": 4000}, f"icache_{ID}_{'0' * 64}", "not known"),
        ({"expires_at": 5000}, KEY, "expired"),
    ],
)
def test_refused(records: Records, changes: dict[str, object], key: str, detail: str) -> None:
    records.change(**changes)
    problem = refusal(records, key)
    assert problem.kind is ProblemType.UNAUTHENTICATED
    assert detail in problem.detail
    assert problem.headers["WWW-Authenticate"] == 'ApiKey realm="instrument-cache"'
    assert not records.keys.known


@pytest.mark.parametrize("changes", [{"revoked_at": 5000}, {"expires_at": 5000}, {"hash": hash_of("another")}])
def test_what_changed_is_seen_while_it_is_remembered(records: Records, changes: dict[str, object]) -> None:
    records.keys.identify(KEY, records.now_s)
    records.keys.refresh()
    assert KEY in records.keys.known
    records.change(**changes)
    records.keys.refresh()
    assert not records.keys.known


def test_a_key_that_expires_is_not_remembered_beyond_that(records: Records) -> None:
    records.change(expires_at=5010)
    assert records.keys.identify(KEY, records.now_s).until_s == 5010


def test_without_redis_known_keys_go_on_up_to_their_age(records: Records) -> None:
    identity = records.keys.identify(KEY, records.now_s)
    records.away = True
    records.now_s += 30
    records.keys.refresh()
    assert records.keys.known[KEY] == identity
    records.away = False
    records.keys.identify(KEY, records.now_s)
    assert records.keys.known[KEY].until_s == identity.until_s + 30


def test_a_key_that_nobody_sends_is_read_no_more(records: Records) -> None:
    records.keys.identify(KEY, records.now_s)
    records.now_s += ASIDE_S
    records.keys.refresh()
    assert not records.keys.known
    records.keys.refresh()
    assert records.reads == 3
    records.now_s += 1
    records.keys.identify(KEY, records.now_s)
    assert records.reads == 3, "it was read a moment ago"
    assert KEY in records.keys.known


def test_a_key_that_comes_back_after_a_while_is_asked_for(records: Records) -> None:
    records.keys.identify(KEY, records.now_s)
    records.now_s += ASIDE_S
    records.keys.refresh()
    records.now_s += 10
    records.away = True
    assert records.keys.identify(KEY, records.now_s).client == "api-key:desk-1", "it goes on up to its age"
    records.keys.known.forget_all()
    records.now_s += 51
    assert refusal(records, KEY).kind is ProblemType.KEYS_UNAVAILABLE


def test_a_revoked_key_is_not_believed_because_it_was_laid_aside(records: Records) -> None:
    records.keys.identify(KEY, records.now_s)
    records.now_s += ASIDE_S
    records.keys.refresh()
    records.now_s += 10
    records.change(revoked_at=5000)
    assert refusal(records, KEY).kind is ProblemType.UNAUTHENTICATED
    records.away = True
    assert refusal(records, KEY).kind is ProblemType.KEYS_UNAVAILABLE


def test_without_redis_one_request_a_second_waits_for_it(records: Records) -> None:
    records.away = True
    for _ in range(3):
        problem = refusal(records, KEY)
        assert problem.kind is ProblemType.KEYS_UNAVAILABLE
        assert problem.headers["Retry-After"] == "1"
    assert records.reads == 1
    records.now_s += 1
    assert refusal(records, KEY).kind is ProblemType.KEYS_UNAVAILABLE
    assert records.reads == 2
    records.away, records.now_s = False, records.now_s + 1
    assert records.keys.identify(KEY, records.now_s).client == "api-key:desk-1"
    assert records.keys.identify(KEY, records.now_s).client == "api-key:desk-1"


def test_the_secret_is_not_in_the_record() -> None:
    assert SECRET not in msgspec.json.encode(GOOD).decode()
