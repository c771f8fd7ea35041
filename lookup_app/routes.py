"""Everything that the application answers, in one place: the API, its description, the page and the probes."""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import BaseConverter

from lookup_app.config import LookupSettings
from lookup_app.datasets import Datasets
from lookup_app.metrics import LookupMetrics
from lookup_app.openapi.document import document
from lookup_app.openapi.views import DescriptionViews
from lookup_app.operation_views import OperationViews
from lookup_app.pages.views import PageViews
from lookup_app.status import Look, Status
from lookup_app.views import DatasetViews, InstrumentViews


class _DatasetName(BaseConverter):
    """The names that a contract may give a dataset, so that `instruments:batch` is not taken for one."""

    regex = "[a-z][a-z0-9_-]{0,99}"


def register(
    app: Flask,
    datasets: Datasets,
    settings: LookupSettings,
    metrics: LookupMetrics,
    looks: dict[str, Look] | None = None,
) -> None:
    """Add every route. `looks` has, by dataset, what looks at its stream; without one its lag is unknown."""
    # A path is taken as it was sent: a redirect to a tidier one would be an answer that is neither data nor a problem.
    app.url_map.merge_slashes = False
    app.url_map.converters["dataset"] = _DatasetName
    InstrumentViews(datasets, settings).register(app)
    status = Status(datasets, looks, change_stream=settings.changes_url is not None)
    DatasetViews(datasets, settings, status).register(app)
    OperationViews(datasets, metrics).register(app)
    PageViews(settings.changes_url).register(app)
    contracts = [service.contract for service in datasets]
    DescriptionViews(document(contracts, settings)).register(app)
