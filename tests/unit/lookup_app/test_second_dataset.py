"""The service serves another dataset by its settings alone: issuers, by LEI and by ticker."""

from __future__ import annotations

import json

import pytest
from flask.testing import FlaskClient

from instrument_cache.batch import BatchApplier
from instrument_cache.change import ChangeDecoder
from instrument_cache.contract import load_contract
from instrument_cache.settings import Environment
from lookup_app.app import create_app
from lookup_app.config import lookup_settings
from lookup_app.datasets import Datasets
from lookup_app.service import LookupService, StoreReader
from tests.unit.lookup_app.conftest import CLOCK, VERSION, WatchedStore

LEI = "HWUPKR0MPOU8FGXBT394"


@pytest.fixture
def client(store: WatchedStore) -> FlaskClient:
    settings = lookup_settings(Environment({"ICACHE_DATASET": "issuers", "ICACHE_REDIS_URL": "redis://unused"}))
    contract = load_contract(settings.contract_paths[0])
    change = {"op": "put", "version": VERSION, "record": {"lei": LEI, "ticker": "AAPL", "name": "Apple Inc."}}
    applier = BatchApplier(contract, store, ChangeDecoder(contract, CLOCK))
    assert applier.apply([json.dumps(change).encode()], [0], [0]) == {}
    return create_app(settings, Datasets([LookupService(StoreReader(store), contract)])).test_client()


@pytest.mark.parametrize("path", [LEI, LEI.lower(), "?ticker=AAPL"])
def test_an_issuer_is_found(client: FlaskClient, path: str) -> None:
    answer = client.get(f"/v1/issuers{path if path.startswith('?') else '/' + path}")
    assert answer.status_code == 200
    assert answer.get_json()["name"] == "Apple Inc."


@pytest.mark.parametrize(("path", "status"), [("7H6GLXDRUGQFU57RNE97", 404), ("037833100", 400)])
def test_what_is_not_there_and_what_is_no_lei(client: FlaskClient, path: str, status: int) -> None:
    assert client.get(f"/v1/issuers/{path}").status_code == status
