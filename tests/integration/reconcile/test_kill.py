"""A run that is killed in any task and tried again under the same id ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import redis

from instrument_cache.contract import Contract
from instrument_cache.reconcile.service import Reconcile
from instrument_cache.reports import newest
from instrument_cache.source.interface import Source
from local_stack.instance import DATASET, PROJECT, Instance
from local_stack.synthetic import synthetic_cusip
from tests.integration.reconcile.conftest import fill_cache
from tests.integration.reconcile.live import row

ROWS = 4000


def run(instance: Instance, run_id: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.integration.reconcile.run", run_id]
    environment = {**os.environ, **instance.settings()}
    return subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("task", ["compare", "repair", "report"])
def test_killed_in_any_task_and_tried_again(
    instance: Instance, service: Reconcile, source: Source, client: redis.Redis, contract: Contract, task: str
) -> None:
    chance = random.Random(task)
    source.publish([row(number, chance) for number in range(ROWS)])
    values = fill_cache(service, source, contract)
    for number in range(0, ROWS, 2):
        client.set(f"instr:{synthetic_cusip(number)}", "garbage")
    first = run(instance, f"killed-in-{task}")
    assert first.stdout is not None
    assert any(line.strip() == task for line in first.stdout)
    time.sleep(chance.uniform(0, 0.3))  # somewhere in the task
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert run(instance, f"killed-in-{task}").wait(60) == 0
    assert dict(service.store.scan("instr")) | dict(service.store.scan("pme")) == values
    summary = newest(client, DATASET, "reconcile")
    assert summary is not None
    assert (summary.run_id, summary.ok) == (f"killed-in-{task}", True)
    assert summary.numbers["corrupt"] == summary.numbers["repaired"] == ROWS // 2
