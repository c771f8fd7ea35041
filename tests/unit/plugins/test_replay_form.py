"""The form of dead_letter_replay: what it asks for is a request that can be carried out, or is refused at once."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache.dead_letters.operation import Asked
from instrument_cache_airflow import replay_form as form

AT = datetime(2026, 11, 21, 18, tzinfo=UTC)
RUN: Any = SimpleNamespace(start_date=None, run_after=AT, triggering_user_name="ann")


def asked(**changed: Any) -> Asked:
    values = {name: param.value for name, param in form.replay_form().items()}
    return form.asked({**values, **changed}, "manual__1", RUN)


def test_a_form_that_nobody_changed_is_a_dry_run_of_everything() -> None:
    found = asked()
    assert (found.dry_run, found.who, found.started_at) == (True, "ann", "2026-11-21T18:00:00+00:00")
    request = found.request()
    assert (request.wanted.codes, request.wanted.since_us, request.patch) == (frozenset(), None, None)
    assert (request.budget.count_max, request.budget.rate_per_s, request.again) == (1000, 100, False)


def test_every_field_reaches_the_request() -> None:
    patch = [{"op": "replace", "path": "/record/currency", "value": "EUR"}]
    request = asked(
        codes=["version_in_future"],
        keys=["037833100"],
        since="2026-11-21T18:00:00",
        until="2026-11-21T20:00:00+01:00",
        patch=patch,
        count_max=7,
        rate_per_s=2.5,
        again=True,
    ).request()
    assert (request.wanted.codes, request.wanted.keys) == ({"version_in_future"}, {"037833100"})
    at_us = int(AT.timestamp()) * 1_000_000
    assert (request.wanted.since_us, request.wanted.until_us) == (at_us, at_us + 3_600_000_000)
    assert (request.budget.count_max, request.budget.rate_per_s, request.again) == (7, 2.5, True)
    assert request.patch is not None
    assert request.patch.operations == patch


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("patch", [], "no list of operations"),
        ("since", "yesterday", "is no time"),
        ("rate_per_s", float("nan"), "rate"),
    ],
)
def test_what_cannot_be_used_is_refused_for_good(field: str, value: Any, why: str) -> None:
    with pytest.raises(AirflowFailException, match=why), form.refusals_end_it():
        asked(**{field: value}).request()
