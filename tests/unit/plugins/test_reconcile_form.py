"""The form of cache_reconcile asks for what a run can be told, with the same defaults."""

from __future__ import annotations

from instrument_cache.reconcile.plan import Order
from instrument_cache_airflow.reconcile_form import order_of, reconcile_form


def test_its_defaults_are_those_of_an_order() -> None:
    assert order_of({name: param.value for name, param in reconcile_form().items()}) == Order()


def test_every_field_of_an_order_can_be_filled_in() -> None:
    assert set(reconcile_form()) == set(Order.__struct_fields__)
