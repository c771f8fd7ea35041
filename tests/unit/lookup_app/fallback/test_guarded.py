"""A row of the source is judged as the stream judges it, and never wins over something newer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from instrument_cache.contract import Contract, VersionUnit
from instrument_cache.errors import RejectedChange, SettingsError
from lookup_app.fallback.guarded import GuardedPut
from lookup_app.fallback.source import SourceRow
from lookup_app.service import LookupService
from tests.unit.lookup_app.conftest import CLOCK, VERSION, WatchedStore

KEY = "037833100"
APPLE = {"cusip": KEY, "pme": "P-1", "name": "Apple", "last_updated": VERSION}


def row(record: dict[str, object], version: int = VERSION) -> SourceRow:
    return SourceRow(json.dumps(record).encode(), version, version)


@pytest.fixture
def guarded(store: WatchedStore, contract: Contract) -> GuardedPut:
    return GuardedPut(contract, store, CLOCK)


def test_it_stores_the_very_bytes_of_the_stream(
    guarded: GuardedPut, store: WatchedStore, service: LookupService, change: Callable[..., None]
) -> None:
    stored = guarded.put(KEY, row({**APPLE, "sector": "not kept"}))
    assert service.by_key(KEY).body == service.by_alias("pme", "P-1").body == stored
    change(APPLE)
    assert store.get_many([f"instr:{KEY}"]) == [stored]
    assert store.counters()["duplicate"] == 1


def test_what_the_stream_brought_meanwhile_is_the_answer(guarded: GuardedPut, change: Callable[..., None]) -> None:
    change({**APPLE, "name": "newer", "last_updated": VERSION + 1}, version=VERSION + 1)
    stored = guarded.put(KEY, row(APPLE))
    assert stored is not None
    assert json.loads(stored)["name"] == "newer"


def test_what_was_deleted_meanwhile_stays_deleted(guarded: GuardedPut, change: Callable[..., None]) -> None:
    change(APPLE, op="delete")
    assert b"~deleted_at" in (guarded.put(KEY, row(APPLE)) or b"")


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{", "malformed_json"),
        (b"[1]", "malformed_json"),
        (b'{"cusip":"037833100"}},"op":"delete","x":{"a":1}', "malformed_json"),
        (b'{"cusip":"037833100","name":"\xff"}', "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"cusip":"037833101"}', "invalid_cusip"),
        (b'{"cusip":"594918104"}', "another_key"),
        (b'{"name":"no key"}', "missing_key"),
        (b'{"cusip":"037833100","pme":"*"}', "invalid_pme"),
        (b'{"cusip":"037833100","summary":"%b"}' % (b"x" * 70_000), "too_large"),
    ],
)
def test_a_row_that_the_stream_would_reject(
    guarded: GuardedPut, store: WatchedStore, payload: bytes, code: str
) -> None:
    with pytest.raises(RejectedChange) as caught:
        guarded.put(KEY, SourceRow(payload, VERSION, VERSION))
    assert caught.value.code == code
    assert list(store.scan("instr")) == []


@pytest.mark.parametrize("version", [0, 12, 10**16, VERSION + 10**12])
def test_a_version_that_cannot_be(guarded: GuardedPut, version: int) -> None:
    with pytest.raises(RejectedChange, match="version"):
        guarded.put(KEY, row(APPLE, version))


def test_a_contract_whose_versions_are_something_else(store: Any, contract: Contract) -> None:
    with pytest.raises(SettingsError, match="log position"):
        GuardedPut(replace(contract, version_unit=VersionUnit.LOG_POSITION), store)
