"""The routes of the datasets: each takes a request apart, asks the service and wraps the answer."""

from __future__ import annotations

from flask import Flask, Response, request

from instrument_cache.projection import encode
from lookup_app.answers import batch_response, instrument_response, json_response
from lookup_app.batch import NDJSON, BatchRequest, batch_of, batch_of_lines
from lookup_app.config import LookupSettings
from lookup_app.datasets import Datasets
from lookup_app.entries import Instrument
from lookup_app.fields import FieldSelection, selection
from lookup_app.headers import JSON, headers_of
from lookup_app.problems import Problem, ProblemType
from lookup_app.protection.flask_hook import charge_batch
from lookup_app.query import BY, FIELDS, invalid_query, names_in, only_alias, parameters
from lookup_app.request_body import content_type, read_body
from lookup_app.service import LookupService
from lookup_app.status import Status


class InstrumentViews:
    """Instruments, one or many, of every dataset that is served."""

    def __init__(self, datasets: Datasets, settings: LookupSettings) -> None:
        self._datasets, self._settings = datasets, settings
        self._headers = {name: headers_of(datasets.get(name).contract) for name in datasets.names}

    def register(self, app: Flask) -> None:
        app.add_url_rule("/v1/<dataset:dataset>/<string:key>", "by_key", self.by_key)
        app.add_url_rule("/v1/<dataset:dataset>", "by_alias", self.by_alias)
        app.add_url_rule("/v1/<dataset:dataset>:batch", "batch", self.batch, methods=["POST"])

    def by_key(self, dataset: str, key: str) -> Response:
        service = self._datasets.get(dataset)
        chosen = _selected(service, parameters([FIELDS]).get(FIELDS))
        return self._answer(dataset, key, service.by_key(key), chosen)

    def by_alias(self, dataset: str) -> Response:
        service = self._datasets.get(dataset)
        given = parameters([*service.alias_names, FIELDS])
        chosen = _selected(service, given.get(FIELDS))
        name, text = only_alias(given, service.alias_names)
        return self._answer(dataset, text, service.by_alias(name, text), chosen)

    def batch(self, dataset: str) -> Response:
        service = self._datasets.get(dataset)
        asked = self._asked(service)
        charge_batch(len(asked.ids))
        chosen = None if asked.fields is None else selection(service.contract, asked.fields)
        results = service.batch(asked.ids, asked.by)
        if chosen is not None:
            results = [_reduced(text, result, chosen) for text, result in zip(asked.ids, results, strict=True)]
        return batch_response(asked.ids, results)

    def _asked(self, service: LookupService) -> BatchRequest:
        given = parameters([BY, FIELDS])
        kind = content_type((JSON, NDJSON))
        body = read_body(self._settings.body_bytes_max)
        asked = (batch_of if kind == JSON else batch_of_lines)(body, self._settings.batch_ids_max)
        by = asked.by if asked.by is not None else given.get(BY)
        if by is not None and by not in service.alias_names:
            raise invalid_query(f"{by[:100]!r} is no alias; by is one of {list(service.alias_names)}.", [BY, FIELDS])
        fields = asked.fields if asked.fields is not None else _names(given.get(FIELDS))
        return BatchRequest(asked.ids, by, fields)

    def _answer(self, dataset: str, text: str, found: Instrument, chosen: FieldSelection | None) -> Response:
        instrument = found if chosen is None else chosen.of(text, found)
        return instrument_response(instrument, self._headers[dataset](instrument))


class DatasetViews:
    """What is served, how each dataset stands, and where its changes are told."""

    def __init__(self, datasets: Datasets, settings: LookupSettings, status: Status) -> None:
        self._datasets, self._settings, self._status = datasets, settings, status

    def register(self, app: Flask) -> None:
        app.add_url_rule("/v1/datasets", "datasets", self.datasets)
        app.add_url_rule("/v1/<dataset:dataset>/status", "status", self.status)
        app.add_url_rule("/v1/<dataset:dataset>/changes", "changes", self.changes)

    def datasets(self) -> Response:
        return json_response(encode({"datasets": [self._status.described(name) for name in self._datasets.names]}))

    def status(self, dataset: str) -> Response:
        return json_response(encode(self._status.of(self._datasets.get(dataset).contract.dataset)))

    def changes(self, dataset: str) -> Response:
        """The change stream is a process of its own, as each of its clients holds a connection."""
        self._datasets.get(dataset)
        if self._settings.changes_url is None:
            detail = "This service has no change stream: ICACHE_LOOKUP_CHANGES_URL is not set. Ask with If-None-Match."
            raise Problem(ProblemType.NO_CHANGE_STREAM, detail)
        query = request.query_string.decode("latin-1")
        target = f"{self._settings.changes_url}/v1/{dataset}/changes{'?' if query else ''}{query}"
        return Response(b"", 307, {"Location": target, "Cache-Control": "no-store"})


def _selected(service: LookupService, text: str | None) -> FieldSelection | None:
    names = _names(text)
    return None if names is None else selection(service.contract, names)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else names_in(text)


def _reduced(text: str, result: Instrument | Problem, chosen: FieldSelection) -> Instrument | Problem:
    try:
        return chosen.of(text, result) if isinstance(result, Instrument) else result
    except Problem as problem:
        return problem
