"""A checker that cannot fail is worthless: it catches each planted bug by name, and passes the product."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from instrument_cache.change import stored_tombstone, stored_value
from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract
from instrument_cache.store.redis import RedisStore
from tests.faults.checker import NAMES, Counted, Finding, Observed, check, tally
from tests.faults.expected import Expected, LogRecord, expected_of
from tests.faults.histories import History, log_of
from tests.faults.model import StreamModel
from tests.faults.planted import BUGS, Bug
from tests.faults.product_account import counted

SEEDS = range(1, 9)
RECORDS = 700
PARTITIONS = 4
TEN_YEARS_S = 10 * 365 * 86_400


def run(client: redis.Redis, contract: Contract, seed: int, bug: Bug | None = None) -> list[Finding]:
    """Stream one history through the model, with its crashes, and check what came of it."""
    bug = bug or Bug(frozenset())
    client.flushall()
    client.script_flush()
    now_us = time.time_ns() // 1000
    log = log_of(History(seed, now_us, keys=150).messages(RECORDS), PARTITIONS)
    chance = random.Random(seed)
    # A new worker has a new store: nothing but what Redis holds survives a crash.
    model = StreamModel(log, lambda: bug.worker(bug.store(client, contract, chance)), client, chance)
    model.run()
    assert model.crashes >= 5, "a run without crashes proves little"
    records = [record for partition in log for record in partition]
    observed = Observed(
        stored={key.decode(): client.get(key) for key in _keys(client, contract)},
        expires_at_ms={key.decode(): max(client.pexpiretime(key), 0) for key in _keys(client, contract)},
        accounts=counted(RedisStore(client, contract.dataset).accounts(), records),
        dead_letters=model.dead_letters,
        seen=model.seen,
    )
    return check(expected_of(records, contract, now_us), observed)


def _keys(client: redis.Redis, contract: Contract) -> Iterator[bytes]:
    for prefix in (contract.key_prefix, *(alias.prefix for alias in contract.aliases)):
        yield from client.keys(f"{prefix}:*")


@pytest.fixture
def client(clean_redis: redis.Redis, redis_url: str) -> redis.Redis:
    return redis_client(redis_url, name="test")


@pytest.fixture
def expiring(contract: Contract) -> Contract:
    """Instruments that expire, so that their time to live is looked at too."""
    return replace(contract, ttl_s=TEN_YEARS_S)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_product_has_no_finding(client: redis.Redis, expiring: Contract, seed: int) -> None:
    assert run(client, expiring, seed) == []


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught_by_name(client: redis.Redis, expiring: Contract, name: str) -> None:
    bug = BUGS[name]
    for seed in SEEDS[:4]:
        found = tally(run(client, expiring, seed, bug))
        assert bug.caught_by <= found.keys(), f"seed {seed}: {found}"


def test_eight_bugs_are_planted() -> None:
    assert len(BUGS) == 8
    assert set().union(*(bug.caught_by for bug in BUGS.values())) <= set(NAMES)


V = 1_763_674_000_123_456
OLD, NEW, LARGER = (stored_value(*of) for of in ((V - 1, b'{"a":1}'), (V, b'{"a":1}'), (V, b'{"a":2}')))
GONE = stored_tombstone(V, V)


@pytest.mark.parametrize(
    ("due", "held", "name"),
    [
        (NEW, None, "missing"),
        (NEW, OLD, "stale"),
        (LARGER, NEW, "tie"),
        (None, NEW, "extra"),
        (GONE, NEW, "extra"),
        (NEW, GONE, "missing"),
        (GONE, None, "tombstone"),
    ],
)
def test_each_difference_of_the_state_has_its_name(due: bytes | None, held: bytes | None, name: str) -> None:
    expected = Expected(stored={"instr:1": due} if due else {})
    observed = Observed({"instr:1": held} if held else {}, {}, {})
    assert [finding.name for finding in check(expected, observed)] == [name]


def test_accounts_and_dead_letters_must_be_exact() -> None:
    log = [LogRecord(0, 0, b"{"), LogRecord(0, 1, None)]
    expected = Expected(rejected={(0, 0)}, counts={0: len(log)})
    right = Observed({}, {}, {0: Counted(2, 1)}, dead_letters=[(0, 0)])
    assert check(expected, right) == []
    for accounts, names in (
        ({0: Counted(3, 1)}, ["double_counted"]),
        ({0: Counted(1, 1)}, ["uncounted"]),
        ({}, ["uncounted", "account"]),
        ({0: Counted(2, 2)}, ["account"]),
        ({0: Counted(2, 1, ("a gap",))}, ["account"]),
    ):
        assert [finding.name for finding in check(expected, replace(right, accounts=accounts))] == names
    for letters in ([], [(0, 0), (0, 0)], [(0, 0), (0, 1)]):
        findings = check(expected, replace(right, dead_letters=letters))
        assert [finding.name for finding in findings] == ["dead_letter"]
