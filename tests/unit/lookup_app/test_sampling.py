"""Few requests are looked at closely, and the caller of a trace has a say."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from instrument_cache.settings import Environment
from lookup_app.sampling import TRACES_PER_S_MAX, Sample, Sampling, SamplingSettings, sampling_settings

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def chosen(settings: SamplingSettings, requests: int, **environ: Any) -> list[Sample]:
    sampling = Sampling(settings, lambda: 7.0)
    return [sample for _ in range(requests) if (sample := sampling.of(dict(environ))) is not None]


def test_off_by_default() -> None:
    settings = sampling_settings(Environment({}))
    assert not Sampling(settings).is_on
    assert chosen(settings, 100, HTTP_TRACEPARENT=SAMPLED) == []


def test_one_in_so_many() -> None:
    assert chosen(SamplingSettings(log_one_in=10), 100) == [Sample(log=True, trace=False)] * 10
    assert chosen(SamplingSettings(trace_one_in=50, otlp_endpoint="x"), 100) == [Sample(log=False, trace=True)] * 2
    assert chosen(SamplingSettings(trace_one_in=1), 100) == [], "without a collector nothing is traced"


@pytest.mark.parametrize(
    ("parent", "count"),
    [(SAMPLED, 1), (SAMPLED[:-1] + "3", 1), (SAMPLED[:-1] + "0", 0), ("", 0), ("garbage1", 0), (SAMPLED + "1", 0)],
)
def test_the_callers_decision(parent: str, count: int) -> None:
    settings = SamplingSettings(trace_one_in=1, otlp_endpoint="x")
    assert len(chosen(settings, 1, HTTP_TRACEPARENT=parent)) == count


def test_callers_cannot_have_everything_traced() -> None:
    settings = SamplingSettings(otlp_endpoint="x")
    assert len(chosen(settings, TRACES_PER_S_MAX * 3, HTTP_TRACEPARENT=SAMPLED)) == TRACES_PER_S_MAX


def test_asked_twice_it_says_the_same() -> None:
    sampling, environ = Sampling(SamplingSettings(log_one_in=2)), dict[str, Any]()
    assert [sampling.of(environ) for _ in range(4)] == [None] * 4
    second = dict[str, Any]()
    assert [sampling.of(second) for _ in range(3)] == [Sample(log=True, trace=False)] * 3


def test_nothing_is_loaded_without_a_collector() -> None:
    heavy = ("opentelemetry.exporter", "opentelemetry.sdk.trace", "lookup_app.tracing", "jwt")
    program = f"import sys, lookup_app.wsgi; print([name for name in sys.modules if name.startswith({heavy})])"
    environment = {"ICACHE_REDIS_URL": "redis://127.0.0.1:1/0", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
