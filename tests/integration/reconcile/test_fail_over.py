"""A repair whose Redis fails over: what the dead primary took with it is repaired again."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from instrument_cache.contract import Contract
from instrument_cache.errors import StoreUnavailable
from instrument_cache.reconcile import plan as plan_module
from instrument_cache.reconcile.plan import Order
from instrument_cache.reconcile.service import Reconcile
from instrument_cache.settings import Environment
from instrument_cache.source.interface import Source
from local_stack.synthetic import synthetic_cusip
from tests.integration.lookup_app.sentinels import Sentinels
from tests.integration.reconcile.conftest import fill_cache
from tests.integration.reconcile.live import row
from tests.servers import wait_until

ROWS = 1000


@pytest.mark.timeout(120)
def test_nothing_that_was_repaired_is_lost_with_the_primary(
    env: Environment, source: Source, contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "PART_DIFFERENCES_MAX", 100)
    with Sentinels(tmp_path) as sentinels:
        service = Reconcile(Environment({**env.variables, "ICACHE_REDIS_URL": sentinels.url}))
        source.publish([row(number, random.Random(1)) for number in range(ROWS)])
        values = fill_cache(service, source, contract)
        for number in range(0, ROWS, 2):
            service.client.set(f"instr:{synthetic_cusip(number)}", "garbage")
        wait_until(lambda: sentinels.replica.admin.get(f"instr:{synthetic_cusip(ROWS - 2)}") == b"garbage")
        plan = service.compare("fails over", Order(shards=4, grace_s=3))
        assert plan.parts == 5

        def fault(what: str, done: int, total: int) -> None:
            if done == 2:
                sentinels.replica.signal(signal.SIGSTOP)
            if done == 5 and sentinels.master.process:
                sentinels.master.kill()
                sentinels.replica.signal(signal.SIGCONT)

        with pytest.raises(StoreUnavailable):
            service.repair("fails over", progress=fault)
        wait_until(lambda: service.repair("fails over"), 60, what="a try that finds the new primary")
        assert dict(service.store.scan("instr")) | dict(service.store.scan("pme")) == values
