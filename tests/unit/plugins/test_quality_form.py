"""The form of data_quality asks for what a run can be told, with the same defaults."""

from __future__ import annotations

import pytest

from instrument_cache.quality.model import INPUTS, Order
from instrument_cache.quality.service import check_order
from instrument_cache_airflow.quality_form import order_of, quality_form

DEFAULTS = {name: param.value for name, param in quality_form().items()}


def test_its_defaults_are_those_of_an_order() -> None:
    assert order_of(DEFAULTS, by_backup=False) == Order()


def test_a_new_backup_is_looked_at_itself() -> None:
    assert order_of(DEFAULTS, by_backup=True).inputs == ("backup",)
    assert order_of(DEFAULTS | {"input": "cache"}, by_backup=True).inputs == ("cache",)


@pytest.mark.parametrize("choice", quality_form()["input"].schema["enum"])
def test_every_choice_can_be_checked(choice: str) -> None:
    check_order(order_of(DEFAULTS | {"input": choice}, by_backup=False))
    assert set(order_of(DEFAULTS | {"input": "all"}, by_backup=False).inputs) == set(INPUTS)
