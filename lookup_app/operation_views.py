"""What supervisors and Prometheus ask."""

from __future__ import annotations

from typing import Final

from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST

from instrument_cache.projection import encode
from lookup_app.answers import json_response
from lookup_app.datasets import Datasets
from lookup_app.metrics import LookupMetrics
from lookup_app.problems import Problem, ProblemType

ALIVE: Final = b'{"status":"alive"}'


class OperationViews:
    """Health, readiness and metrics."""

    def __init__(self, datasets: Datasets, metrics: LookupMetrics) -> None:
        self._datasets = datasets
        self._metrics = metrics

    def register(self, app: Flask) -> None:
        app.add_url_rule("/healthz", "healthz", self.healthz)
        app.add_url_rule("/readyz", "readyz", self.readyz)
        app.add_url_rule("/metrics", "metrics", self.metrics)

    def healthz(self) -> Response:
        """The process is alive: nothing else is asked."""
        return json_response(ALIVE)

    def readyz(self) -> Response:
        """Callers may be sent here now."""
        missing, stale_s = self._datasets.readiness()
        stale = {} if stale_s is None else {"stale": True, "stale_s": round(stale_s, 3)}
        if missing:
            detail = f"Not yet there: {', '.join(missing)}."
            raise Problem(ProblemType.NOT_READY, detail, {"missing": list(missing), **stale})
        return json_response(encode({"status": "ready", **stale}))

    def metrics(self) -> Response:
        return Response(self._metrics.exposition(), content_type=CONTENT_TYPE_LATEST)
