"""A fault that is named by nobody is reported: by the doctor, or by a page that does not know the finding."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instrument_cache.doctor import Finding
from instrument_cache.overview.model import Overview, Past
from instrument_cache.overview.service import Overviews
from tests.faults.__main__ import _is_wrong
from tests.faults.naming import EXPECTED, Named, Naming, OpenPage
from tests.faults.operations.airflow_kills import AIRFLOW_KILLS
from tests.faults.operations.expected import expected_of
from tests.faults.operations.faults import OPERATION_FAULTS
from tests.faults.operations.rounds import OperationRound
from tests.faults.rounds import Round
from tests.unit.overview.test_service import nowhere

AWAY = Finding("redis", "red", "Redis does not answer: connection refused", "its process has ended", "restart it")
OTHER = Finding("lookup", "red", "the lookup service does not answer", "its process has ended", "restart it")
NAMED = Named(1.0, "red", "redis", AWAY.sentence)


@pytest.fixture
def fault() -> Naming:
    return Naming(list, "kill-redis", EXPECTED["kill-redis"])  # the doctor is not asked


def test_of_each_fault_of_an_operation_it_is_known_how_it_is_named() -> None:
    assert expected_of("backup-kill-mark-good")[0] == "operations"
    assert expected_of("reconcile-other-region-away")[0] == "s3:second"
    for each in (*OPERATION_FAULTS, *AIRFLOW_KILLS):
        assert all(expected_of(each))


def test_an_operation_whose_fault_is_not_named_is_reported() -> None:
    done = OperationRound("backup-s3-away", 1, 2, 1.0, (), NAMED, NAMED)
    assert not _is_wrong(done)
    assert _is_wrong(replace(done, shown=None))
    assert _is_wrong(replace(done, named=NAMED._replace(after_s=60.5)))


def page(found: list[Finding]) -> OpenPage:
    """The page of a deployment of which no part is there; its doctor finds just that."""
    return OpenPage(Overviews(nowhere(), examine=lambda: found), every_s=0.1)


def test_a_page_that_shows_the_finding_names_the_fault(fault: Naming) -> None:
    with page([OTHER, AWAY]) as opened:
        named = opened.named(fault)
    assert named is not None
    assert (named.part, named.sentence) == ("redis", AWAY.sentence)


def test_a_page_that_does_not_know_the_finding_is_reported(fault: Naming) -> None:
    with page([OTHER]) as opened:
        named = opened.named(fault, within_s=3.0)
    assert named is None
    assert _is_wrong(Round("kill-redis", 1, 100, 1.0, (), NAMED, (), named))
    assert not _is_wrong(Round("kill-redis", 1, 100, 1.0, (), NAMED, (), NAMED))


def test_a_page_that_names_it_after_a_minute_is_reported() -> None:
    late = NAMED._replace(after_s=60.5)
    assert _is_wrong(Round("kill-redis", 1, 100, 1.0, (), NAMED, (), late))


def overview(**found: Any) -> Overview:
    return Overview(**{"dataset": "instruments", "at": "", "findings": (), "tiles": (), **found})


def test_what_the_page_keeps_of_before_the_fault_does_not_count(fault: Naming) -> None:
    before = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    after = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    seen_s = time.monotonic() + 2
    assert fault.named_by(seen_s, overview(findings=(AWAY,), examined_at=before)) is None
    assert fault.named_by(seen_s, overview(findings=(AWAY,), examined_at=after)) is not None
    assert fault.named_by(seen_s, overview(past=(Past(AWAY, before),), examined_at=after)) is None
    assert fault.named_by(seen_s, overview(past=(Past(AWAY, after),), examined_at=after)) is not None
    assert fault.named_by(seen_s, overview(examined_at="")) is None
