"""A service on the in-memory store, whose content comes the way of every change: decoded, then offered."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from instrument_cache.batch import BatchApplier
from instrument_cache.change import ChangeDecoder
from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract, load_contract
from instrument_cache.errors import StoreUnavailable
from instrument_cache.store.memory import MemoryStore
from lookup_app.app import create_app
from lookup_app.config import LookupSettings
from lookup_app.datasets import Datasets
from lookup_app.service import LookupService, StoreReader

PROJECT = Path(__file__).parents[3]
CONTRACT_PATH = PROJECT / "contracts" / "instruments.yaml"
VERSION = 1_763_674_000_123_456
# Stands still at the day of the changes, so that no tombstone is forgotten while the tests age.
CLOCK = FakeClock(VERSION)


class WatchedStore(MemoryStore):
    """Remembers what was read, and can be away."""

    def __init__(self) -> None:
        super().__init__(CLOCK)
        self.reads: list[list[str]] = []
        self.away = False

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        self._answer()
        self.reads.append(list(keys))
        return super().get_many(keys)

    def counters(self) -> dict[str, int]:
        self._answer()
        return super().counters()

    def _answer(self) -> None:
        if self.away:
            raise StoreUnavailable("Redis did not read: connection refused on 10.0.0.1")


@pytest.fixture
def contract() -> Contract:
    return load_contract(CONTRACT_PATH)


@pytest.fixture
def store() -> WatchedStore:
    return WatchedStore()


@pytest.fixture
def change(store: WatchedStore, contract: Contract) -> Callable[..., None]:
    """change(record, op=…, version=…): one change of the stream, applied."""

    def apply(record: dict[str, object], op: str = "put", version: int = VERSION, deleted_at: int = VERSION) -> None:
        source = {"name": "test", "position": "1", "received_at": deleted_at}
        value = json.dumps({"op": op, "version": version, "source": source, "record": record}).encode()
        assert BatchApplier(contract, store, ChangeDecoder(contract, CLOCK)).apply([value], [0], [0]) == {}

    return apply


@pytest.fixture
def service(store: WatchedStore, contract: Contract) -> LookupService:
    return LookupService(StoreReader(store), contract)


@pytest.fixture
def settings() -> LookupSettings:
    return LookupSettings("redis://unused", (CONTRACT_PATH,), body_bytes_max=4096, batch_ids_max=5)


@pytest.fixture
def datasets(service: LookupService) -> Datasets:
    return Datasets([service])


@pytest.fixture
def client(settings: LookupSettings, datasets: Datasets) -> FlaskClient:
    return create_app(settings, datasets).test_client()
