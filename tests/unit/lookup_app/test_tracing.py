"""A sampled request becomes a span of the caller's trace; a collector that is away costs nothing but the span."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lookup_app.app import create_app
from lookup_app.config import LookupSettings
from lookup_app.datasets import Datasets
from lookup_app.observation import create_observation
from lookup_app.sampling import SamplingSettings

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector(HTTPServer):
    """Takes spans as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.shutdown()


def test_a_span_of_the_callers_trace(collector: Collector, settings: LookupSettings, datasets: Datasets) -> None:
    endpoint = f"http://127.0.0.1:{collector.server_address[1]}/"
    observation = create_observation(SamplingSettings(otlp_endpoint=endpoint))
    client = create_app(settings, datasets, observation=observation).test_client()
    client.get("/v1/instruments/037833100", headers={"traceparent": PARENT, "X-Request-ID": "me-1"})
    client.get("/v1/instruments/037833100")
    assert observation.tracing is not None
    assert observation.tracing.provider.force_flush(10_000)
    sent = [ExportTraceServiceRequest.FromString(body) for body in collector.bodies]
    spans = [span for one in sent for part in one.resource_spans for scope in part.scope_spans for span in scope.spans]
    assert [span.name for span in spans] == ["GET by_key"]
    assert spans[0].trace_id.hex() == PARENT[3:35]
    assert spans[0].parent_span_id.hex() == PARENT[36:52]
    attributes = {item.key: item.value for item in spans[0].attributes}
    assert attributes["http.response.status_code"].int_value == 404
    assert attributes["icache.request_id"].string_value == "me-1"
    observation.tracing.provider.shutdown()


def test_a_collector_that_is_away(settings: LookupSettings, datasets: Datasets) -> None:
    observation = create_observation(SamplingSettings(trace_one_in=1, otlp_endpoint="http://127.0.0.1:1"))
    client = create_app(settings, datasets, observation=observation).test_client()
    started_s = time.monotonic()
    assert [client.get("/v1/instruments/037833100").status_code for _ in range(20)] == [404] * 20
    assert time.monotonic() - started_s < 2
