"""Traces of the requests that were sampled, sent to an OpenTelemetry collector. Loaded only if there is one."""

from __future__ import annotations

from collections.abc import Mapping
from multiprocessing.util import Finalize
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_SERVICE: Final = "instrument-cache-lookup"
# A collector that is away costs spans, never a request or the end of a worker.
_TIMEOUT_S: Final = 2
_PENDING_MAX: Final = 2048


class Tracing:
    """Spans of requests, sent in the background to `endpoint`, the base of the collector's OTLP/HTTP address."""

    def __init__(self, endpoint: str) -> None:
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_TIMEOUT_S)
        provider = TracerProvider(resource=Resource.create({"service.name": _SERVICE}), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=_PENDING_MAX))
        self.provider = provider
        self._tracer = provider.get_tracer("lookup_app")
        self._propagator = TraceContextTextMapPropagator()
        # Worker processes end without the interpreter's own exit handlers.
        Finalize(None, provider.shutdown, exitpriority=2)

    def start(self, environ: Mapping[str, Any]) -> Span:
        """The span of a request that begins now, below the caller's if `traceparent` names one."""
        names = {"traceparent": "HTTP_TRACEPARENT", "tracestate": "HTTP_TRACESTATE"}
        carrier = {name: environ[key] for name, key in names.items() if key in environ}
        return self._tracer.start_span(
            f"{environ.get('REQUEST_METHOD', '')} lookup",
            context=self._propagator.extract(carrier),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": str(environ.get("REQUEST_METHOD", ""))},
        )

    def end(self, span: Span, name: str, attributes: Mapping[str, str | int], failed: bool) -> None:
        span.update_name(name)
        span.set_attributes(attributes)
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end()
