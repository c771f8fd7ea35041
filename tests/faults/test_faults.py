"""The short form of `make test-faults`: each fault once, for seconds, with a seed that can be given again."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.faults.faults import FAULTS
from tests.faults.naming import NAMED_S_MAX
from tests.faults.rounds import Field, running_field

SEED = int(os.environ.get("ICACHE_TEST_SEED", "1"))


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    with running_field(SEED) as running:
        yield running


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_fault_nothing_is_missing_stale_extra_or_miscounted(field: Field, fault: str) -> None:
    result = field.run(fault, SEED)
    print(f"{fault}: {result.changes} changes, whole after {result.recovery_s:.1f} s")
    print(f"{fault}: the doctor said {result.named}")
    print(f"{fault}: the page said {result.shown}")
    assert result.findings == ()
    assert result.false_alarms == ()
    for named in (result.named, result.shown):
        assert named is not None
        assert named.after_s < NAMED_S_MAX
    assert result.changes > 0
    assert len(field.stack.workers()) <= 2
    field.stack.assert_all_are_marked()
