"""Puts the service together."""

from __future__ import annotations

from flask import Flask

from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.store.redis import RedisStore
from lookup_app import answers, hooks
from lookup_app.config import LookupSettings
from lookup_app.deadline import InTime
from lookup_app.fail_fast import FailFast
from lookup_app.metrics import LookupMetrics
from lookup_app.service import LookupService
from lookup_app.views import InstrumentViews, OperationViews


def create_service(settings: LookupSettings) -> LookupService:
    """A service on Redis. Connects on first use. Raises SettingsError or ContractError."""
    contract = load_contract(settings.contract_path)
    client = redis_client(settings.redis_url, name="lookup", timeout_s=settings.redis_timeout_s)
    store = InTime(RedisStore(client, contract.dataset), client, settings.redis_timeout_s)
    return LookupService(FailFast(store, slow_s=settings.redis_timeout_s / 2), contract)


def create_app(settings: LookupSettings, service: LookupService | None = None) -> Flask:
    """The WSGI application. Raises SettingsError or ContractError if the settings cannot be used."""
    service = service or create_service(settings)
    metrics = LookupMetrics(service.counters)
    app = Flask(__name__, static_folder=None)
    # A path is taken as it was sent: a redirect to a tidier one would be an answer that is neither data nor a problem.
    app.url_map.merge_slashes = False
    answers.install(app)
    hooks.install(app, metrics)
    InstrumentViews(service, settings).register(app)
    OperationViews(service, metrics).register(app)
    return app
