"""Which keys of a backup are brought back."""

from __future__ import annotations

import pytest

from instrument_cache.errors import RestoreRefused
from instrument_cache.restore.request import Mode, restore_request
from instrument_cache.restore.scope import KEYS_MAX, KeyFilter, scope_of
from tests.unit.restore.backups import CONTRACT, cusip, hint, value

A, B, C = sorted(cusip(number) for number in range(3))
NUMBERS = {cusip(number): number for number in range(3)}


def test_all_takes_every_key_even_an_alias_that_leads_nowhere() -> None:
    wanted = KeyFilter(CONTRACT, scope_of(CONTRACT))
    assert wanted.wants(f"instr:{A}", b"anything")
    assert wanted.wants("pme:X", b'{"v":1763674000000000,"~deleted_at":1}')


def test_a_range_takes_both_ends_and_the_aliases_of_its_instruments() -> None:
    wanted = KeyFilter(CONTRACT, scope_of(CONTRACT, first=A, last=B))
    assert [wanted.wants(f"instr:{key}", value(NUMBERS[key], 10**15)) for key in (A, B, C)] == [True, True, False]
    assert wanted.wants("pme:ONE", hint(NUMBERS[B], 10**15))
    assert not wanted.wants("pme:TWO", hint(NUMBERS[C], 10**15))
    assert not wanted.wants("pme:NONE", b'{"v":1763674000000000,"~deleted_at":1}')


def test_a_range_may_be_open() -> None:
    assert [scope_of(CONTRACT, first=B).holds(key) for key in (A, B, C)] == [False, True, True]
    assert [scope_of(CONTRACT, last=B).holds(key) for key in (A, B, C)] == [True, True, False]


def test_keys_are_brought_to_their_canonical_form() -> None:
    scope = scope_of(CONTRACT, keys=(f" {A.lower()}", A))
    assert scope.keys == (A,)
    assert KeyFilter(CONTRACT, scope).wants("pme:ONE", hint(NUMBERS[A], 10**15))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"keys": ("nonsense",)}, "a key that was given is none"),
        ({"keys": ("037833100",), "first": "0"}, "both keys and a range"),
        ({"first": "b", "last": "a"}, "behind its end"),
        ({"keys": ("037833100",) * (KEYS_MAX + 1)}, "give a range"),
    ],
)
def test_a_scope_that_cannot_be_meant_is_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(RestoreRefused, match=says):
        scope_of(CONTRACT, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"mode": "overwrite"}, "must be 'restore' or 'roll back to'"),
        ({"mode": "roll back to"}, "needs a reason"),
        ({"backup": "x", "as_of": "2025-11-21T18:00:00Z"}, "both a backup and a time"),
        ({"as_of": "yesterday"}, "must be a time such as"),
        ({"as_of": "2025-11-21T18:00:00"}, "without a time zone"),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(RestoreRefused, match=says):
        restore_request(CONTRACT, run_id="r", by="me", **given)  # type: ignore[arg-type]


def test_as_of_may_be_in_any_time_zone() -> None:
    request = restore_request(CONTRACT, run_id="r", by="me", as_of="2025-11-21T18:00:00+02:00")
    assert request.mode is Mode.RESTORE
    assert str(request.moment) == "2025-11-21 16:00:00+00:00"


def test_what_no_store_of_the_dataset_holds_is_refused() -> None:
    wanted = KeyFilter(CONTRACT, scope_of(CONTRACT))
    wanted.check(f"instr:{A}", value(0, 10**15))
    with pytest.raises(RestoreRefused, match="prefix is none of instr:, pme:"):
        wanted.check("session:1", value(0, 10**15))
    with pytest.raises(RestoreRefused, match="carries no version"):
        wanted.check(f"instr:{A}", b"nonsense")
