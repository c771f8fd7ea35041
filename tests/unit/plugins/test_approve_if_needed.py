"""A person is asked only if there is a reason."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import ApprovalOperator

from instrument_cache_airflow.operators.approve_if_needed import ApproveIfNeeded


class Asked(Exception):
    """The approval was asked for."""


@pytest.fixture(autouse=True)
def asking(monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(self: Any, context: Any) -> None:
        raise Asked

    monkeypatch.setattr(ApprovalOperator, "execute", execute)


def operator(reasons: str) -> ApproveIfNeeded:
    return ApproveIfNeeded(task_id="approve", subject="Do it?", reasons=reasons)


def test_without_a_reason_it_goes_on() -> None:
    assert operator("").execute({}) is None


def test_with_a_reason_it_asks() -> None:
    with pytest.raises(Asked):
        operator("the source is empty").execute({})


def test_the_reasons_are_a_template() -> None:
    assert "reasons" in ApproveIfNeeded.template_fields
    assert set(ApprovalOperator.template_fields) < set(ApproveIfNeeded.template_fields)
