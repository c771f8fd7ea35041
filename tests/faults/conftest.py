"""One stack for all faults of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_stack.synthetic import synthetic_rows
from tests.stack import Stack, running_stack

ROWS = 500


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    with running_stack() as running:
        running.up()
        running.source.publish(synthetic_rows(ROWS))
        running.settle()
        yield running
