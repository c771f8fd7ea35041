"""The service answers from the store, and only what the store still says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from instrument_cache.contract import Alias, Contract, Field
from instrument_cache.errors import IdentifierError, StoreUnavailable
from lookup_app.entries import Instrument
from lookup_app.problems import Problem, ProblemType
from lookup_app.service import Found, LookupService, StoreReader

APPLE = {"cusip": "037833100", "pme": "P-1", "name": "Apple Inc"}
MICROSOFT = {"cusip": "594918104", "pme": "P-2"}
VERSION = 1_763_674_000_123_456
Change = Callable[..., None]


def test_the_body_is_what_is_stored(service: LookupService, store: Any, change: Change) -> None:
    change(APPLE)
    assert service.by_key("037833100") == Instrument(VERSION, store.get_many(["instr:037833100"])[0])


@pytest.mark.parametrize("text", ["037833100", " 037833100 ", "0378 33 100"])
def test_spaces_do_not_matter(service: LookupService, change: Change, text: str) -> None:
    change(APPLE)
    assert service.by_key(text).version == VERSION


def test_lower_case_does_not_matter(service: LookupService, change: Change) -> None:
    change({"cusip": "G0176J109"})
    assert service.by_key("g0176j109").body == service.by_key("G0176J109").body


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("037833101", "check_digit"),
        ("03783310", "length"),
        ("", "length"),
        ("03783310?", "characters"),
        ("０37833100", "ascii"),  # noqa: RUF001 the first digit is full-width
        ("instr:037833100", "length"),
        ("*" * 1_000_000, "length"),
    ],
)
def test_what_is_no_cusip_is_not_read(service: LookupService, store: Any, text: str, rule: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        service.by_key(text)
    assert caught.value.rule == rule
    assert store.reads == []


def test_never_known(service: LookupService) -> None:
    with pytest.raises(Problem) as caught:
        service.by_key("037833100")
    assert caught.value.kind is ProblemType.UNKNOWN_INSTRUMENT


def test_deleted_says_when(service: LookupService, change: Change) -> None:
    change(APPLE)
    change(APPLE, op="delete", version=VERSION, deleted_at=VERSION + 5_000_000)
    with pytest.raises(Problem) as caught:
        service.by_key("037833100")
    assert caught.value.kind is ProblemType.DELETED_INSTRUMENT
    assert caught.value.extra["deleted_at"] == "2025-11-20T21:26:45.123456Z"
    assert caught.value.headers["Instrument-Version"] == str(VERSION)


def test_deleted_on_the_second(service: LookupService, change: Change) -> None:
    change(APPLE, op="delete", deleted_at=1_763_674_000_000_000)
    with pytest.raises(Problem) as caught:
        service.by_key("037833100")
    assert caught.value.extra["deleted_at"] == "2025-11-20T21:26:40Z"


def test_by_alias(service: LookupService, change: Change) -> None:
    change(APPLE)
    assert service.by_alias("pme", "P-1") == service.by_key("037833100")


def test_a_renamed_alias_is_gone_at_once(service: LookupService, change: Change) -> None:
    change(APPLE)
    change({**APPLE, "pme": "P-9"}, version=VERSION + 1)
    assert service.by_alias("pme", "P-9").version == VERSION + 1
    with pytest.raises(Problem) as caught:
        service.by_alias("pme", "P-1")
    assert caught.value.kind is ProblemType.UNKNOWN_INSTRUMENT
    assert caught.value.extra == {"value": "P-1"}


def test_an_alias_that_was_taken_away_is_gone(service: LookupService, change: Change) -> None:
    change(APPLE)
    change({"cusip": "037833100"}, version=VERSION + 1)
    with pytest.raises(Problem, match="unknown-instrument"):
        service.by_alias("pme", "P-1")


def test_an_alias_that_moved_leads_to_its_new_instrument(service: LookupService, change: Change) -> None:
    change(APPLE)
    change({**MICROSOFT, "pme": "P-1"}, version=VERSION + 1)
    assert b'"cusip":"594918104"' in service.by_alias("pme", "P-1").body


def test_an_alias_of_a_deleted_instrument(service: LookupService, change: Change) -> None:
    change(APPLE)
    change(APPLE, op="delete")
    with pytest.raises(Problem) as caught:
        service.by_alias("pme", "P-1")
    assert caught.value.kind is ProblemType.DELETED_INSTRUMENT


def test_an_alias_to_nothing(service: LookupService, store: Any) -> None:
    store.offer({"pme:P-1": b'{"v":1763674000123456,"cusip":"037833100"}'})
    with pytest.raises(Problem, match="'P-1'"):
        service.by_alias("pme", "P-1")


@pytest.mark.parametrize("text", ["", "-x", "a b", "a\x00", "x" * 65, "*", "é"])
def test_an_alias_that_breaks_its_pattern_is_not_read(service: LookupService, store: Any, text: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        service.by_alias("pme", text)
    assert caught.value.rule in {"pattern", "ascii"}
    assert store.reads == []


def test_every_alias_of_the_contract_works(store: Any, contract: Contract) -> None:
    figi, rank = Field("figi", str), Field("rank", int)
    service = LookupService(StoreReader(store), replace(contract, aliases=(Alias("f", figi), Alias("r", rank))))
    store.offer({"f:BBG000B9XRY4": b'{"v":1763674000123456,"cusip":"037833100"}'})
    store.offer({"r:7": b'{"v":1763674000123456,"cusip":"037833100"}'})
    store.offer({"instr:037833100": b'{"v":1763674000123456,"cusip":"037833100","figi":"BBG000B9XRY4","rank":7}'})
    assert service.alias_names == ("figi", "rank")
    assert service.by_alias("figi", "BBG000B9XRY4") == service.by_alias("rank", "7")


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"garbage",
        b"{}",
        b'{"v":12,"cusip":"037833100"}',
        b'{"v":17636740001234x6,"cusip":"037833100"}',
        b'{"v":1763674000123456,"cusip":"0378',
        b'{"v":1763674000123456,"~deleted_at":}',
        b'{"v":1763674000123456,"~deleted_at":9999999999999999999999}',
    ],
)
def test_what_the_store_did_not_write_is_a_problem_and_no_crash(
    service: LookupService, store: Any, stored: bytes
) -> None:
    store.offer({"instr:037833100": stored})
    with pytest.raises(Problem) as caught:
        service.by_key("037833100")
    assert caught.value.kind is ProblemType.UNREADABLE_ENTRY
    assert service.batch(["037833100"])[0].__class__ is Problem


@pytest.mark.parametrize("hint", [b"garbage", b'{"v":1,"cusip":5}', b"[" * 100_000, b"\xff"])
def test_an_alias_that_cannot_be_read(service: LookupService, store: Any, hint: bytes) -> None:
    store.offer({"pme:P-1": hint})
    with pytest.raises(Problem) as caught:
        service.by_alias("pme", "P-1")
    assert caught.value.kind is ProblemType.UNREADABLE_ENTRY


def test_a_batch_is_one_read_in_order_with_duplicates(service: LookupService, store: Any, change: Change) -> None:
    change(APPLE)
    change(MICROSOFT, op="delete")
    results = service.batch(["594918104", "037833100", "bad", " 037833100", "023135106", "037833100"])
    kinds = [result.kind.slug if isinstance(result, Problem) else result.version for result in results]
    assert kinds == ["deleted-instrument", VERSION, "invalid-identifier", VERSION, "unknown-instrument", VERSION]
    assert store.reads == [["instr:594918104", "instr:037833100", "instr:023135106"]]


def test_a_batch_of_aliases_is_two_reads_in_order(service: LookupService, store: Any, change: Change) -> None:
    change(APPLE)
    change(MICROSOFT)
    change({**MICROSOFT, "pme": "P-3"}, version=VERSION + 1)
    store.offer({"pme:P-4": b"garbage"})
    results = service.batch(["P-3", "P-1", "P-2", "-", "P-9", "P-1", "P-4"], by="pme")
    kinds = [result.kind.slug if isinstance(result, Problem) else result.version for result in results]
    unknown = "unknown-instrument"
    assert kinds == [VERSION + 1, VERSION, unknown, "invalid-identifier", unknown, VERSION, "unreadable-entry"]
    assert store.reads == [
        ["pme:P-3", "pme:P-1", "pme:P-2", "pme:P-9", "pme:P-4"],
        ["instr:594918104", "instr:037833100"],
    ]


class StaleReader(StoreReader):
    """Redis is away: answers are from before."""

    def read(self, keys: Sequence[str]) -> Found:
        return Found(super().read(keys).values, 1.5)


def test_what_is_stale_says_so(store: Any, contract: Contract, change: Change) -> None:
    change(APPLE)
    service = LookupService(StaleReader(store), contract)
    assert service.by_key("037833100").stale_s == service.by_alias("pme", "P-1").stale_s == 1.5
    assert [result.stale_s for result in service.batch(["037833100", "594918104"])] == [1.5, 1.5]
    for read in (lambda: service.by_key("594918104"), lambda: service.by_alias("pme", "P-7")):
        with pytest.raises(Problem) as caught:
            read()
        assert caught.value.stale_s == 1.5


def test_an_unavailable_store_is_said_so(service: LookupService, store: Any) -> None:
    store.away = True
    for read in (lambda: service.by_key("037833100"), lambda: service.batch(["037833100"]), service.check):
        with pytest.raises(StoreUnavailable):
            read()
