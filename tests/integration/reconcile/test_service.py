"""A whole run on real Redis, S3 and source: plan, approval, repair, report, and what fails on the way."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from instrument_cache.contract import Contract
from instrument_cache.epoch import Epoch, epoch_key, open_epoch, read_epoch
from instrument_cache.errors import ReconcileError, SourceUnavailable, StoreUnavailable
from instrument_cache.operation_lock import OperationRunning, operation_lock
from instrument_cache.reconcile.plan import Order
from instrument_cache.reconcile.retention import remove_plans
from instrument_cache.reconcile.service import LOCK, WRITE_LOCK, Reconcile
from instrument_cache.reports import Report, newest, read
from instrument_cache.settings import Environment
from instrument_cache.source.interface import Source
from local_stack.instance import DATASET, PROJECT, Instance
from local_stack.synthetic import synthetic_cusip
from tests.integration.lookup_app.changes.scene import Listener, Process
from tests.integration.reconcile.conftest import fill_cache
from tests.integration.reconcile.live import row
from tests.servers import free_port, wait_until

ROWS = 1000
ORDER = Order(shards=4, grace_s=3)


@pytest.fixture
def run_ids(request: pytest.FixtureRequest) -> Iterator[str]:
    """Names of runs that no other test has."""
    return (f"{request.node.name}+{at}:00" for at in range(10))


@pytest.fixture
def filled(service: Reconcile, source: Source, contract: Contract) -> dict[str, bytes]:
    chance = random.Random(1)
    source.publish([row(number, chance) for number in range(ROWS)])
    return fill_cache(service, source, contract)


def key(number: int) -> str:
    return f"instr:{synthetic_cusip(number)}"


def held(service: Reconcile) -> dict[str, bytes]:
    return dict(service.store.scan("instr")) | dict(service.store.scan("pme"))


def test_a_run_finds_repairs_and_reports(
    service: Reconcile, filled: dict[str, bytes], client: redis.Redis, run_ids: Iterator[str]
) -> None:
    client.delete(key(1))
    client.setrange(key(2), 40, "#")
    client.delete(key(3))
    client.rpush(key(3), "x")
    client.set("issuer:X", "theirs")
    run_id = next(run_ids)
    plan = service.compare(run_id, ORDER)
    assert (plan.kinds["missing"], plan.kinds["corrupt"], plan.reasons) == (1, 2, [])
    service.repair(run_id)
    report = service.report(run_id)
    assert report.sentence.endswith("Repaired 3, open 0.")
    assert held(service) == filled
    assert client.get("issuer:X") == b"theirs"
    assert service.report(run_id).finished_at >= report.finished_at
    summary = newest(client, DATASET, "reconcile")
    assert summary is not None
    assert (summary.run_id, summary.ok, summary.numbers["repaired"]) == (run_id, True, 3)
    stored = read(service.objects, DATASET, "reconcile", report.started_at, run_id)
    assert stored == msgspec.json.decode(msgspec.json.encode(report), type=Report)
    assert service.retain() == []
    remove_plans(service.objects, DATASET, 1, datetime.now(UTC) + timedelta(days=2))
    assert service.plans(run_id).load() is None


def test_an_empty_source_waits_for_a_person_and_leaves_every_byte(
    service: Reconcile, filled: dict[str, bytes], source: Source, run_ids: Iterator[str]
) -> None:
    service.compare(first := next(run_ids), ORDER)
    service.report(first)
    source.delete([cusip.partition(":")[2] for cusip in filled if cusip.startswith("instr:")])
    plan = service.compare(run_id := next(run_ids), ORDER)
    assert plan.reasons[0].startswith("the source is empty")
    with pytest.raises(ReconcileError, match="needs an approval"):
        service.repair(run_id)
    assert held(service) == filled
    refused = service.report(run_id)
    assert (refused.ok, refused.numbers["open"], refused.numbers["trusted_rows"]) == (False, ROWS, ROWS)
    service.repair(run_id, approved=True)
    assert service.compare(next(run_ids), ORDER).parts == 0


def test_a_dry_run_changes_nothing(
    service: Reconcile, filled: dict[str, bytes], client: redis.Redis, run_ids: Iterator[str]
) -> None:
    client.delete(key(1))
    before = held(service)
    run_id = next(run_ids)
    service.compare(run_id, Order(dry_run=True, shards=4, grace_s=3))
    service.repair(run_id, approved=True)
    assert held(service) == before
    assert "a dry run" in service.report(run_id).sentence


def test_runs_exclude_each_other_and_the_same_run_goes_on(
    service: Reconcile, filled: dict[str, bytes], client: redis.Redis, run_ids: Iterator[str]
) -> None:
    client.delete(key(1))
    run_id = next(run_ids)
    with operation_lock(client, DATASET, LOCK, "another", 5), pytest.raises(OperationRunning, match="'another' holds"):
        service.compare(run_id, ORDER)
    with operation_lock(client, DATASET, LOCK, run_id, 5):
        service.compare(run_id, ORDER)
    with operation_lock(client, DATASET, WRITE_LOCK, "a restore", 5), pytest.raises(OperationRunning):
        service.repair(run_id)
    service.repair(run_id)
    assert held(service) == filled


def test_a_lock_that_was_taken_over_is_noticed(client: redis.Redis) -> None:
    with operation_lock(client, DATASET, LOCK, "run", 0.3) as first:
        first.check()
        with operation_lock(client, DATASET, LOCK, "run", 30):
            first._thread.join(5)
            with pytest.raises(OperationRunning, match="was lost"):
                first.check()
    assert client.exists(f"lock:{DATASET}:{LOCK}") == 0


def test_after_a_roll_back_an_older_plan_is_not_carried_out(
    service: Reconcile, filled: dict[str, bytes], client: redis.Redis, run_ids: Iterator[str]
) -> None:
    client.delete(key(1))
    service.compare(run_id := next(run_ids), ORDER)
    open_epoch(client, DATASET, Epoch(), Epoch(number=1, opened_at="2025-11-21T18:00:00+00:00", pinned=True))
    with pytest.raises(ReconcileError, match="rolled back after this comparison"):
        service.repair(run_id)
    assert service.compare(next(run_ids), ORDER).reasons[0].startswith("epoch 1 is pinned")
    looking = Order(shards=4, grace_s=3, unpin=True, dry_run=True)
    assert service.compare(next(run_ids), looking).reasons[0].startswith("epoch 1 is pinned")
    plan = service.compare(ended := next(run_ids), Order(shards=4, grace_s=3, unpin=True))
    assert (plan.reasons, plan.epoch, read_epoch(client, DATASET).pinned) == ([], read_epoch(client, DATASET), False)
    service.repair(ended)
    assert held(service) == filled
    client.delete(epoch_key(DATASET))


@pytest.mark.parametrize(
    ("setting", "value", "error"),
    [
        ("ICACHE_SOURCE_URL", "sow+http://127.0.0.1:{port}/instruments", SourceUnavailable),
        ("ICACHE_REDIS_URL", "redis://127.0.0.1:{port}/0", StoreUnavailable),
    ],
)
def test_a_part_that_is_away_ends_the_run_without_a_plan(
    service: Reconcile, env: Environment, setting: str, value: str, error: type[Exception], run_ids: Iterator[str]
) -> None:
    away = Reconcile(Environment({**env.variables, setting: value.format(port=free_port())}))
    with pytest.raises(error):
        away.compare(run_id := next(run_ids), ORDER)
    assert service.plans(run_id).load() is None


def test_redis_that_fails_in_the_middle_of_a_repair_ends_the_same_when_tried_again(
    service: Reconcile, filled: dict[str, bytes], client: redis.Redis, run_ids: Iterator[str]
) -> None:
    for number in range(0, ROWS, 2):
        client.set(key(number), "garbage")
    service.compare(run_id := next(run_ids), ORDER)
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            service.repair(run_id)
    finally:
        client.config_set("maxmemory", 0)
    service.repair(run_id)
    assert held(service) == filled


def test_the_shell_repairs_and_tells_it_as_json(
    instance: Instance, service: Reconcile, filled: dict[str, bytes], client: redis.Redis
) -> None:
    for number in range(10):
        client.delete(key(number))
    stack = {
        "ICACHE_HOME": str(instance.home),
        "ICACHE_PORT_OFFSET": str(instance.port_offset),
        "ICACHE_TOOLS": str(instance.tools),
    }

    def icache(*arguments: str) -> tuple[int, dict[str, Any]]:
        command = [str(PROJECT / "icache"), "reconcile", "--json", "--grace-s", "3", *arguments]
        done = subprocess.run(command, env={**os.environ, **stack}, capture_output=True, text=True, timeout=60)
        return done.returncode, json.loads(done.stdout)

    code, dry = icache("--dry-run")
    assert (code, dry["numbers"]["open"], len(held(service))) == (1, 10, len(filled) - 10)
    code, refused = icache("--budget", "5")
    assert (code, refused["details"]["decision"], len(held(service))) == (1, "refused", len(filled) - 10)
    code, repaired = icache("--budget", "5", "--approve")
    assert (code, repaired["numbers"]["repaired"], held(service)) == (0, 10, filled)


def test_who_follows_the_change_stream_is_told_of_a_repair(
    service: Reconcile,
    filled: dict[str, bytes],
    instance: Instance,
    client: redis.Redis,
    run_ids: Iterator[str],
    tmp_path: Path,
) -> None:
    process = Process(instance.settings(), tmp_path / "changes.log").start().wait_ready()
    try:
        listener = Listener(f"{process.url}/v1/{DATASET}/changes")
        wait_until(lambda: listener.kinds() == ["hello"], 20, "the beginning")
        client.delete(key(1))
        client.set("pme:NOBODY", filled[key(2)])
        service.compare(run_id := next(run_ids), ORDER)
        service.repair(run_id)
        service.repair(run_id)
        wait_until(lambda: "restored" in listener.kinds(), 20, "the repair")
        client.set("pme:NOBODY", filled[key(2)])
        service.compare(swept := next(run_ids), ORDER)
        service.repair(swept)
        assert service.report(swept).numbers["swept_aliases"] == 1
        client.delete(key(3))
        service.compare(last := next(run_ids), ORDER)
        service.repair(last)
        wait_until(lambda: listener.kinds()[1:] == ["restored", "restored"], 20, "the second repair and no sweep")
        listener.close()
    finally:
        process.kill()
    told = [event.data["restored"] for event in listener.events[1:]]
    assert [each["keys"] for each in told] == [[synthetic_cusip(1)], [synthetic_cusip(3)]]
    assert (told[0]["backup"], told[0]["scope"]) == ("", "a repair by reconciliation")
