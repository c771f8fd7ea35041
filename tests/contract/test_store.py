"""What every versioned store promises, asked of the in-memory twin and of a real Redis by the same tests."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instrument_cache.account import PartitionAccount, totals
from instrument_cache.change import stored_tombstone, stored_value
from instrument_cache.connections import redis_client
from instrument_cache.errors import StoreUnavailable
from instrument_cache.store.interface import Entry, NotSettled, Position, Replacement, VersionedStore
from instrument_cache.store.memory import MemoryStore
from instrument_cache.store.redis import KEYS_PER_CALL, RedisStore
from tests.servers import free_port, wait_until

V = 1_763_674_000_123_456
FAR_MS = 4_000_000_000_000

versions = st.integers(V, V + 3)
payloads = st.sampled_from([b'{"cusip":"A"}', b'{"cusip":"B","name":"b"}', b'{"cusip":"B"}', '{"cusip":"Ä"}'.encode()])
offers = st.one_of(
    st.builds(stored_value, versions, payloads), st.builds(stored_tombstone, versions, st.integers(V, V + 2))
)
batches = st.lists(st.dictionaries(st.sampled_from(["instr:1", "instr:2", "instr:3"]), offers), max_size=12)


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> VersionedStore:
    if request.param == "memory":
        return MemoryStore()
    return _redis_store(request)


def _redis_store(request: pytest.FixtureRequest) -> RedisStore:
    client = redis_client(request.getfixturevalue("redis_url"), name="test")
    client.flushall()
    return RedisStore(client, "instruments")


def value(version: int, cusip: str = "A") -> bytes:
    return stored_value(version, b'{"cusip":"%b"}' % cusip.encode())


def test_a_newer_version_wins_and_an_older_one_is_stale(store: VersionedStore) -> None:
    assert store.offer({"instr:1": value(V)}) == "a"
    assert store.offer({"instr:1": value(V + 1)}) == "a"
    assert store.offer({"instr:1": value(V)}) == "s"
    assert store.get_many(["instr:1", "instr:2"]) == [value(V + 1), None]


def test_the_same_bytes_are_a_duplicate(store: VersionedStore) -> None:
    assert [store.offer({"instr:1": value(V)}) for _ in range(2)] == ["a", "d"]


def test_a_tombstone_beats_a_value_of_its_version_and_only_of_its_version(store: VersionedStore) -> None:
    gone = stored_tombstone(V, V + 5)
    store.offer({"instr:1": value(V, "zzzz")})
    assert store.offer({"instr:1": gone}) == "a"
    assert store.offer({"instr:1": value(V, "zzzz")}) == "s"
    assert store.offer({"instr:1": value(V + 1)}) == "a"


def test_at_equal_version_the_larger_bytes_win_and_it_is_a_tie(store: VersionedStore) -> None:
    assert [store.offer({"instr:1": value(V, name)}) for name in ("B", "A", "C")] == ["a", "S", "A"]
    assert store.get_many(["instr:1"]) == [value(V, "C")]


def test_an_expired_value_is_gone_and_does_not_come_back_by_replay(store: VersionedStore) -> None:
    store.offer({"instr:1": value(V)}, {"instr:1": 1000})
    assert store.get_many(["instr:1"]) == [None]
    store.offer({"instr:1": value(V)}, {"instr:1": 1000})
    assert store.get_many(["instr:1"]) == [None]


def test_more_keys_than_one_call_takes_keep_their_order(store: VersionedStore) -> None:
    many = {f"instr:{at}": value(V + at % 2) for at in range(KEYS_PER_CALL * 2 + 7)}
    store.offer({key: value(V + 1) for at, key in enumerate(many) if at % 3 == 0})
    outcomes = store.offer(many)
    assert len(outcomes) == len(many)
    expected = ["a" if at % 3 else ("d" if at % 2 else "s") for at in range(len(many))]
    assert list(outcomes) == expected
    assert dict(store.scan("instr")).keys() == many.keys()


def test_nothing_is_nothing(store: VersionedStore) -> None:
    assert store.offer({}) == ""
    assert store.get_many([]) == []


def entry(before: Position, after: Position, **counts: int) -> Entry:
    return Entry(partition=3, slot=1, before=before, after=after, counts=counts)


def test_an_exchange_settles_what_the_store_decided(store: VersionedStore) -> None:
    store.offer({"instr:1": value(V + 1), "instr:2": value(V), "instr:3": value(V, "A"), "instr:4": value(V, "C")})
    exchange = store.exchange()
    offered = {
        **{"instr:1": value(V), "instr:2": value(V), "instr:3": value(V, "B"), "instr:4": value(V, "B")},
        **{"instr:5": value(V), "instr:6": value(V), "pme:X": value(V)},
    }
    exchange.offer(offered, {}, slots=bytes([1, 1, 1, 1, 1, 0]))
    after = Position(10, 19, ((12, 14),))
    exchange.finish([entry(Position(), after, applied=5, rejected=2, skipped=2)], {"feed:5": 4, "feed:sum_ms": 12})
    [account] = store.accounts().values()
    assert account == PartitionAccount(
        3, 10, 19, applied=2, duplicate=1, stale=2, rejected=2, ties=2, skipped=2, holes=((12, 14),)
    )
    assert account.total == account.next - account.start - account.skipped
    assert store.positions([3, 4]) == {3: after, 4: Position()}
    assert store.counters() == totals({3: account})
    assert (store.lags()["feed"].total, store.lags()["feed"].sum_ms) == (4, 12)


def test_an_entry_for_another_position_changes_nothing(store: VersionedStore) -> None:
    here = Position(0, 5, ((1, 2),))
    store.exchange().finish([entry(Position(), here, applied=4)], {})
    for wrong in (Position(), Position(0, 4), Position(0, 5)):
        exchange = store.exchange()
        exchange.offer({"instr:1": value(V)}, {}, slots=b"\x01")
        with pytest.raises(NotSettled):
            exchange.finish([entry(wrong, Position(0, 9), applied=1)], {"feed:1": 1})
    assert store.counters()["applied"] == 4
    assert store.lags()["feed"].total == 0
    store.exchange().finish([entry(here, Position(0, 6, ((1, 2),)), stale=1)], {})
    assert store.accounts()[3].stale == 1


def test_what_was_refused_on_the_way_is_not_settled(clean_redis: redis.Redis, redis_url: str) -> None:
    def failed() -> int:
        counts = clean_redis.info("commandstats")["cmdstat_evalsha"]
        return int(counts["rejected_calls"]) + int(counts["failed_calls"])

    store = RedisStore(redis_client(redis_url, name="test"), "instruments")
    store.offer({"instr:0": value(V)})
    before = failed()
    clean_redis.config_set("maxmemory", 1)
    try:
        exchange = store.exchange()
        exchange.offer({"instr:1": value(V)}, {}, slots=b"\x01")
        wait_until(lambda: failed() > before, what="the refusal")
    finally:
        clean_redis.config_set("maxmemory", 0)
    with pytest.raises(StoreUnavailable, match="maxmemory"):
        exchange.finish([entry(Position(), Position(0, 1), applied=1)], {})
    assert store.accounts() == {}
    assert store.get_many(["instr:1"]) == [None]


def _final_state(store: VersionedStore, batches_: list[dict[str, bytes]]) -> dict[str, bytes]:
    for batch in batches_:
        store.offer(batch, dict.fromkeys(batch, FAR_MS))
    return dict(store.scan("instr"))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=batches, seed=st.integers(0, 2**32))
@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_any_order_duplication_and_replay_end_in_the_same_bytes(
    kind: str, request: pytest.FixtureRequest, batches: list[dict[str, bytes]], seed: int
) -> None:
    make: Callable[[], VersionedStore] = MemoryStore if kind == "memory" else lambda: _redis_store(request)
    singles = [{key: offer} for batch in batches for key, offer in batch.items()]
    expected = {key: max(s[key] for s in singles if key in s) for single in singles for key in single}
    shuffled = singles * 2
    random.Random(seed).shuffle(shuffled)
    assert _final_state(make(), batches) == expected
    assert _final_state(make(), shuffled) == expected
    assert _final_state(make(), [*reversed(batches), *batches]) == expected


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=batches)
def test_the_twin_answers_letter_for_letter_like_redis(
    request: pytest.FixtureRequest, batches: list[dict[str, bytes]]
) -> None:
    twin, real = MemoryStore(), _redis_store(request)
    assert [twin.offer(batch) for batch in batches] == [real.offer(batch) for batch in batches]


def test_what_is_not_of_the_store_is_replaced(clean_redis: redis.Redis, redis_url: str) -> None:
    clean_redis.lpush("instr:list", "x")
    clean_redis.set("instr:text", "garbage that is longer than a version")
    clean_redis.set("instr:digits", '{"v":99}')
    store = RedisStore(redis_client(redis_url, name="test"), "instruments")
    keys = ["instr:list", "instr:text", "instr:digits"]
    assert store.offer(dict.fromkeys(keys, value(V))) == "aaa"
    assert store.get_many(keys) == [value(V)] * 3


def test_a_flushed_script_is_loaded_again(clean_redis: redis.Redis, redis_url: str) -> None:
    store = RedisStore(redis_client(redis_url, name="test"), "instruments")
    store.offer({"instr:1": value(V)})
    clean_redis.script_flush()
    assert store.offer({"instr:1": value(V + 1)}) == "a"
    clean_redis.script_flush()
    assert store.replace("instr:1", value(V + 1), value(V)) is True


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:{closed}/0", "redis://:wrong@127.0.0.1:{port}/0"], ids=["away", "wrong password"]
)
def test_a_redis_that_does_not_answer_is_unavailable(url: str, redis_url: str) -> None:
    port = redis_url.rpartition(":")[2].partition("/")[0]
    store = RedisStore(redis_client(url.format(closed=free_port(), port=port), name="test", timeout_s=1), "instruments")
    for ask in (lambda: store.offer({"instr:1": value(V)}), lambda: store.get_many(["x"]), store.counters):
        with pytest.raises(StoreUnavailable):
            ask()


def test_a_read_only_replica_refuses_and_nothing_is_lost(clean_redis: redis.Redis, redis_url: str) -> None:
    store = RedisStore(redis_client(redis_url, name="test"), "instruments")
    clean_redis.replicaof("127.0.0.1", str(free_port()))
    try:
        with pytest.raises(StoreUnavailable):
            store.offer({"instr:1": value(V)})
    finally:
        clean_redis.replicaof("NO", "ONE")
    assert store.offer({"instr:1": value(V)}) == "a"


def test_a_repair_replaces_exactly_what_it_saw(store: VersionedStore) -> None:
    store.offer({"instr:1": value(V, "B")})
    assert store.replace("instr:1", value(V, "A"), value(V, "C")) is False
    assert store.replace("instr:1", None, value(V, "C")) is False
    assert store.get_many(["instr:1"]) == [value(V, "B")]
    assert store.replace("instr:1", value(V, "B"), value(V, "A")) is True
    assert store.replace("instr:2", None, value(V)) is True
    assert store.replace("instr:3", value(V), value(V)) is False
    assert store.get_many(["instr:1", "instr:2", "instr:3"]) == [value(V, "A"), value(V), None]


def test_a_repair_removes_what_it_saw_and_sets_the_expiry(store: VersionedStore) -> None:
    store.offer({"pme:1": value(V), "pme:2": value(V), "pme:3": b""})
    assert store.replace("pme:1", value(V), None) is True
    assert store.replace("pme:2", value(V), value(V + 1), 1000) is True
    assert store.replace("pme:3", b"", value(V), FAR_MS) is True
    assert store.get_many(["pme:1", "pme:2", "pme:3"]) == [None, None, value(V)]
    assert store.replace("pme:1", None, None) is True


def test_many_are_replaced_each_by_what_was_seen_of_it(store: VersionedStore) -> None:
    many = {f"instr:{at}": value(V) for at in range(KEYS_PER_CALL + 7)}
    store.offer(many)
    wanted = [Replacement(key, value(V) if at % 2 else value(V, "B"), value(V, "C")) for at, key in enumerate(many)]
    wanted += [Replacement("pme:1", None, None), Replacement("pme:2", None, value(V), FAR_MS)]
    assert store.replace_many(wanted) == [at % 2 == 1 for at in range(len(many))] + [True, True]
    assert store.replace_many([]) == []
    assert store.get_many(list(many)) == [value(V, "C") if at % 2 else value(V) for at in range(len(many))]
    assert store.get_many(["pme:1", "pme:2"]) == [None, value(V)]


def test_a_repair_sees_nothing_in_a_key_of_another_type(clean_redis: redis.Redis, redis_url: str) -> None:
    store = RedisStore(redis_client(redis_url, name="test"), "instruments")
    for key in ("instr:list", "pme:list"):
        clean_redis.lpush(key, "x")
    store.offer({"instr:1": value(V)})
    assert store.foreign(["instr:list", "instr:1", "instr:2", "pme:list"]) == {"instr:list", "pme:list"}
    assert store.foreign([]) == set()
    assert store.replace("instr:list", b"x", value(V)) is False
    assert store.replace("instr:list", None, value(V)) is True
    assert store.replace("pme:list", None, None) is True
    assert store.get_many(["instr:list"]) == [value(V)]
    assert clean_redis.exists("pme:list") == 0


def test_the_keys_of_a_prefix_come_whatever_they_hold(store: VersionedStore) -> None:
    many = {f"instr:{at}": value(V) for at in range(KEYS_PER_CALL + 7)}
    store.offer({**many, "pme:1": value(V), "instrument:1": value(V), "instr": value(V)})
    assert {key for page in store.keys("instr") for key in page} == {key.encode() for key in many}
    both = {key for page in store.keys("instr", "pme") for key in page}
    assert both == {key.encode() for key in (*many, "pme:1")}


def test_unequal_names_the_keys_that_hold_other_bytes(store: VersionedStore) -> None:
    many = {f"instr:{at}": value(V) for at in range(KEYS_PER_CALL + 7)}
    store.offer(many)
    assert store.unequal(many) == []
    assert store.unequal({}) == []
    expected = {**many, "instr:900": value(V + 1), "instr:5": value(V, "B"), "instr:none": value(V)}
    assert store.unequal(expected) == ["instr:5", "instr:900", "instr:none"]


def test_what_redis_holds_of_another_type_is_unequal_and_keys_may_hold_line_breaks(
    clean_redis: redis.Redis, redis_url: str
) -> None:
    clean_redis.lpush("instr:list", "x")
    clean_redis.set("instr:a\ninstr:b", "x")
    store = RedisStore(redis_client(redis_url, name="test"), "instruments")
    clean_redis.script_flush()
    assert store.unequal({"instr:list": value(V)}) == ["instr:list"]
    clean_redis.script_flush()
    assert {key for page in store.keys("instr") for key in page} == {b"instr:list", b"instr:a\ninstr:b"}
