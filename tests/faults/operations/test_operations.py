"""The short form of `make test-faults` for operations: some faults of each, for seconds, with a seed."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.faults.naming import is_unnamed
from tests.faults.operations.faults import OPERATION_FAULTS
from tests.faults.operations.rounds import OperationsField, running_operations

SEED = int(os.environ.get("ICACHE_TEST_SEED", "1"))
ALWAYS = ("reconcile-redis-failover", "reconcile-source-cut", "backup-s3-away", "restore-s3-denied")
# Of these one, which the seed chooses. All of them, and drills, are in `make test-faults`; a reconciliation and a
# restore that are killed have tests of their own in tests/integration.
CHOSEN = ("backup-kill-",)


def short_form() -> list[str]:
    chance = random.Random(SEED)
    chosen = [chance.choice([fault for fault in OPERATION_FAULTS if fault.startswith(prefix)]) for prefix in CHOSEN]
    return [*ALWAYS, *chosen]


@pytest.fixture(scope="module")
def field() -> Iterator[OperationsField]:
    with running_operations(SEED) as running:
        yield running


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", short_form())
def test_after_a_fault_and_another_try_all_is_as_if_nothing_had_happened(field: OperationsField, fault: str) -> None:
    result = field.run(fault, SEED)
    print(f"{fault}: {result.tries} tries, whole after {result.recovery_s:.1f} s")
    assert result.findings == ()
    assert not is_unnamed(result.named), f"the doctor: {result.named}"
    assert not is_unnamed(result.shown), f"the page: {result.shown}"
