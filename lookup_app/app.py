"""Puts the service together."""

from __future__ import annotations

from typing import Final

from flask import Flask

from lookup_app import answers, hooks, routes
from lookup_app.cache.backing import Backing
from lookup_app.config import LookupSettings
from lookup_app.datasets import Datasets
from lookup_app.hot_path import middleware as hot_path
from lookup_app.metric_families import BREAKER_OPEN, CACHE_BYTES, CACHE_ENTRIES
from lookup_app.metrics import LookupMetrics
from lookup_app.observation import Observation, unobserved
from lookup_app.protection import flask_hook
from lookup_app.protection.assembly import Protection
from lookup_app.status_redis import looks_at_redis
from lookup_app.wiring import create_backing, create_datasets, load_contracts

# Under which the application holds what stands behind it.
BACKING: Final = "icache.backing"


def create_app(
    settings: LookupSettings,
    datasets: Datasets | None = None,
    protection: Protection | None = None,
    observation: Observation | None = None,
) -> Flask:
    """The WSGI application. Raises SettingsError or ContractError if the settings cannot be used.

    With `datasets` of one's own there is neither near cache nor hot path; without `protection` everybody is let in.
    """
    observation = observation or unobserved()
    if datasets is not None:
        return _flask_app(settings, datasets, LookupMetrics(datasets.check), protection, observation)
    backing = create_backing(settings, load_contracts(settings))
    datasets = create_datasets(settings, backing)
    metrics = LookupMetrics(datasets.check, observation.metrics_folder)
    _show(backing, metrics)
    app = _flask_app(settings, datasets, metrics, protection, observation)
    app.extensions[BACKING] = backing
    if settings.hot_path:
        hot_path.install(app, datasets, backing, settings, metrics, protection, observation)
    return app


def _flask_app(
    settings: LookupSettings,
    datasets: Datasets,
    metrics: LookupMetrics,
    protection: Protection | None,
    observation: Observation,
) -> Flask:
    app = Flask(__name__, static_folder=None)
    answers.install(app)
    hooks.install(app, metrics, datasets.names, observation.sampling, observation.tracing)
    if protection is not None:
        flask_hook.install(app, protection)
    looks = looks_at_redis(settings.redis_url, settings.redis_timeout_s, datasets)
    routes.register(app, datasets, settings, metrics, looks)
    return app


def _show(backing: Backing, metrics: LookupMetrics) -> None:
    """Have the reads counted, and the gauges of the near cache read with each scrape."""
    backing.count_reads(metrics.reads)
    cache = backing.cache
    metrics.show(BREAKER_OPEN, lambda: float(backing.breaker.refuses))
    metrics.show(CACHE_BYTES, lambda: float(cache.bytes_used))
    metrics.show(CACHE_ENTRIES, lambda: float(len(cache.entries)))
