"""The form of cache_restore: what Airflow refuses, and what it makes of the fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache.contract import load_contract
from instrument_cache.errors import BackupRefused, RestoreRefused, StoreUnavailable
from instrument_cache.restore.request import Mode
from instrument_cache_airflow.restore_order import refusals_end_it, request_of, restore_form

CONTRACT = load_contract(Path(__file__).parents[3] / "contracts" / "instruments.yaml")


def filled(**given: Any) -> dict[str, Any]:
    form = ParamsDict(restore_form())
    form.update(given)
    return dict(form.validate())


def test_as_it_stands_it_asks_for_the_newest_backup() -> None:
    request = request_of(CONTRACT, filled(), "manual__1", "ann")
    assert (request.run_id, request.by, request.mode, request.backup, request.as_of, request.region) == (
        *("manual__1", "ann", Mode.RESTORE, "", "", "any"),
    )
    assert request.scope.is_all


def test_the_fields_make_the_request() -> None:
    given = {"mode": "roll back to", "as_of": "2025-11-21T18:00:00+00:00", "keys": ["037833100"], "reason": "bad"}
    request = request_of(CONTRACT, filled(**given), "manual__1", "ann")
    assert (request.mode, request.scope.keys, request.reason) == (Mode.ROLL_BACK, ("037833100",), "bad")
    assert request.moment is not None


@pytest.mark.parametrize(
    "given",
    [
        {"mode": "overwrite"},
        {"backup": "newest"},
        {"backup": "../../20251121T181500Z-3f9c2a1b7d04"},
        {"region": "third"},
        {"keys": [""]},
        {"keys": "037833100"},
        {"reason": "x" * 201},
    ],
)
def test_wrong_values_are_refused_before_a_run_begins(given: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"(?i)invalid input|schema|is not|does not match"):
        filled(**given)


def test_a_time_that_is_none_is_refused_by_the_plan() -> None:
    with pytest.raises(RestoreRefused, match="as_of is 'yesterday'"):
        request_of(CONTRACT, filled(as_of="yesterday"), "manual__1", "ann")


@pytest.mark.parametrize("error", [BackupRefused("altered", "it was"), RestoreRefused("both given")])
def test_what_is_refused_is_not_tried_again(error: Exception) -> None:
    with pytest.raises(AirflowFailException, match=str(error).split("(")[0]), refusals_end_it():
        raise error


def test_what_is_away_is_tried_again() -> None:
    with pytest.raises(StoreUnavailable), refusals_end_it():
        raise StoreUnavailable("away")
