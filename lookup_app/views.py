"""The routes: each takes a request apart, asks the service and wraps the answer."""

from __future__ import annotations

from typing import Final

from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.exceptions import RequestEntityTooLarge

from instrument_cache.errors import StoreUnavailable
from lookup_app.answers import JSON, instrument_response, json_response
from lookup_app.batch import batch_body, ids_of
from lookup_app.config import LookupSettings
from lookup_app.metrics import LookupMetrics
from lookup_app.problems import VALUE_CHARACTERS_MAX, Problem, ProblemType
from lookup_app.service import LookupService

ALIVE: Final = b'{"status":"alive"}'
READY: Final = b'{"status":"ready"}'


class InstrumentViews:
    """Instruments, one or many."""

    def __init__(self, service: LookupService, settings: LookupSettings) -> None:
        self._service = service
        self._settings = settings

    def register(self, app: Flask) -> None:
        app.add_url_rule("/v1/instruments/<string:key>", "by_key", self.by_key)
        app.add_url_rule("/v1/instruments", "by_alias", self.by_alias)
        app.add_url_rule("/v1/instruments:batch", "batch", self.batch, methods=["POST"])

    def by_key(self, key: str) -> Response:
        return instrument_response(self._service.by_key(key))

    def by_alias(self) -> Response:
        name, text = _only_parameter(self._service.alias_names)
        return instrument_response(self._service.by_alias(name, text))

    def batch(self) -> Response:
        _check_content_type()
        ids = ids_of(_body(self._settings.body_bytes_max), self._settings.batch_ids_max)
        return json_response(batch_body(ids, self._service.batch(ids)))


class OperationViews:
    """What supervisors and Prometheus ask."""

    def __init__(self, service: LookupService, metrics: LookupMetrics) -> None:
        self._service = service
        self._metrics = metrics

    def register(self, app: Flask) -> None:
        app.add_url_rule("/healthz", "healthz", self.healthz)
        app.add_url_rule("/readyz", "readyz", self.readyz)
        app.add_url_rule("/metrics", "metrics", self.metrics)

    def healthz(self) -> Response:
        """The process is alive: nothing else is asked."""
        return json_response(ALIVE)

    def readyz(self) -> Response:
        """The service could answer a caller now."""
        try:
            self._service.check()
        except StoreUnavailable as error:
            raise Problem(ProblemType.NOT_READY, "Redis does not answer.", {"missing": ["redis"]}) from error
        return json_response(READY)

    def metrics(self) -> Response:
        return Response(self._metrics.exposition(), content_type=CONTENT_TYPE_LATEST)


def _only_parameter(names: tuple[str, ...]) -> tuple[str, str]:
    """The query's one (name, value). Raises Problem unless it is exactly one of `names`."""
    try:
        given = list(request.args.items(multi=True))
    except UnicodeDecodeError:
        raise _invalid_query("The query is not UTF-8.", names) from None
    for name, _ in given:
        if name not in names:
            raise _invalid_query(f"There is no parameter {name[:VALUE_CHARACTERS_MAX]!r}.", names)
    if len(given) != 1:
        raise _invalid_query(f"{len(given)} parameters were given.", names)
    return given[0]


def _invalid_query(what: str, names: tuple[str, ...]) -> Problem:
    wanted = ", ".join(names)
    return Problem(ProblemType.INVALID_QUERY, f"{what} Give exactly one of: {wanted}.", {"parameters": list(names)})


def _body(bytes_max: int) -> bytes:
    """The request's body. Raises Problem if it is longer than `bytes_max`."""
    # Werkzeug cuts a body of unknown length at its maximum without a word, so that one byte more must be asked for.
    request.max_content_length = bytes_max + 1
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise _too_large(bytes_max) from None
    if len(body) > bytes_max:
        raise _too_large(bytes_max)
    return body


def _too_large(bytes_max: int) -> Problem:
    detail = f"The body may have {bytes_max} bytes. Send fewer ids per request."
    return Problem(ProblemType.BODY_TOO_LARGE, detail, {"limit": bytes_max})


def _check_content_type() -> None:
    encoding = request.headers.get("Content-Encoding", "identity")
    if request.mimetype != JSON or encoding.lower() != "identity":
        sent = request.headers.get("Content-Type", "")[:VALUE_CHARACTERS_MAX]
        detail = f"The body is {sent!r} (Content-Encoding {encoding[:VALUE_CHARACTERS_MAX]!r}); send plain {JSON}."
        raise Problem(ProblemType.UNSUPPORTED_CONTENT_TYPE, detail)
