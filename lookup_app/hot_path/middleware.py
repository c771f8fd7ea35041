"""A WSGI application in front of Flask's. It answers what it can answer with 200 or 304; the rest is for Flask.

Its answers are those of Flask's views, byte by byte (tests/integration/lookup_app/hot_path/test_parity.py sends every
kind of request both ways). They are lists, which the server sends at once; anything else it asks for part by part.
What it found out about a request that it does not answer goes along in the request's environment, so that
nothing is read, waited for or charged twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flask import Flask, request

from lookup_app.cache.backing import Backing
from lookup_app.config import LookupSettings
from lookup_app.datasets import Datasets
from lookup_app.hot_path.answering import FOUND, Answering, Environ, StartResponse
from lookup_app.hot_path.batch import BatchRoute
from lookup_app.hot_path.shelf import Shelf
from lookup_app.hot_path.single import SingleRoute
from lookup_app.metrics import LookupMetrics
from lookup_app.observation import Observation
from lookup_app.protection.assembly import Protection

_V1: Final = "/v1"


class HotPath:
    """`GET /v1/{dataset}/{key}` and `POST /v1/{dataset}:batch`, by dataset. The rest is for Flask."""

    def __init__(self, answering: Answering, datasets: Datasets, backing: Backing, settings: LookupSettings) -> None:
        self._app, self.answering, self.backing = answering.app, answering, backing
        self._singles: dict[str, SingleRoute] = {}
        self._batches: dict[str, BatchRoute] = {}
        for service in datasets:
            shelf = Shelf(backing.cache, service.contract.redis_key(""))
            hot_keys = backing.hot_keys[service.dataset]
            # With a fallback, a miss is not the end of the read.
            reader = backing.readers[service.dataset] if settings.fallback is None else None
            self._singles[f"{_V1}/{service.dataset}"] = SingleRoute(answering, service, shelf, hot_keys, reader)
            self._batches[f"{service.dataset}:batch"] = BatchRoute(answering, service, shelf, hot_keys, settings)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        head, _, last = environ["PATH_INFO"].rpartition("/")
        single = self._singles.get(head)
        if single is not None:
            return single.answer(environ, start_response, last)
        if head == _V1 and last in self._batches:
            return self._batches[last].answer(environ, start_response)
        return self._app(environ, start_response)

    def single(self, head: str) -> SingleRoute | None:
        """The route of the keys below a path, such as `/v1/instruments`."""
        return self._singles.get(head)

    def batch(self, path: str) -> BatchRoute | None:
        """The route at a path, such as `/v1/instruments:batch`."""
        head, _, last = path.rpartition("/")
        return self._batches.get(last) if head == _V1 else None


def install(
    app: Flask,
    datasets: Datasets,
    backing: Backing,
    settings: LookupSettings,
    metrics: LookupMetrics,
    protection: Protection | None,
    observation: Observation,
) -> None:
    """Put the hot path before `app`."""
    answering = Answering(app.wsgi_app, backing.cache, metrics, protection, observation.sampling)
    app.before_request(_raise_what_was_found)
    app.wsgi_app = HotPath(answering, datasets, backing, settings)  # type: ignore[method-assign]


def _raise_what_was_found() -> None:
    """The error that the hot path met is the answer: a read that failed is not tried again."""
    error: Exception | None = request.environ.get(FOUND)
    if error is not None:
        raise error
