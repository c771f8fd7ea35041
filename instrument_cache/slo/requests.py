"""What the lookup service answered, from the counters of its own metrics: the difference between two looks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import httpx
import msgspec

_REQUESTS: Final = "instrument_cache_lookup_requests"
_LATENCY: Final = "instrument_cache_lookup_latency_seconds"
_TIMEOUT_S: Final = 5.0
_SERVER_ERRORS: Final = "5"


class Counters(msgspec.Struct, frozen=True):
    """Requests for data since the service's start: all, failed (HTTP 5xx), and upper edge (s) → at most so long."""

    requests: float
    failed: float
    within: dict[float, float]


def is_ready(url: str) -> bool:
    """Whether the service says that requests may be sent to it."""
    try:
        return httpx.get(f"{url}/readyz", timeout=_TIMEOUT_S, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def read_counters(url: str) -> Counters | None:
    """None if the service does not answer."""
    try:
        answer = httpx.get(f"{url}/metrics", timeout=_TIMEOUT_S, trust_env=False)
        return counters_in(answer.text) if answer.is_success else None
    except (httpx.HTTPError, ValueError):
        return None


def counters_in(text: str) -> Counters:
    """The counters of an exposition in Prometheus's text format. Raises ValueError if it is none."""
    from prometheus_client.parser import text_string_to_metric_families

    families = {family.name: family.samples for family in text_string_to_metric_families(text)}
    # Health checks and scrapes are of no dataset.
    counted = [sample for sample in families.get(_REQUESTS, ()) if sample.labels.get("dataset")]
    total, failed = _sum(counted), _sum(s for s in counted if s.labels["status"].startswith(_SERVER_ERRORS))
    within: dict[float, float] = {}
    for sample in families.get(_LATENCY, ()):
        if sample.name.endswith("_bucket") and sample.labels.get("dataset"):
            edge = float(sample.labels["le"])
            within[edge] = within.get(edge, 0.0) + sample.value
    return Counters(total, failed, within)


def _sum(samples: Iterable[Any]) -> float:
    return float(sum(sample.value for sample in samples if sample.name.endswith("_total")))


def since(before: Counters | None, now: Counters) -> Counters:
    """What came between two looks. A service that was started again counts from zero."""
    if before is None or now.requests < before.requests or now.failed < before.failed:
        before = Counters(0, 0, {})
    within = {edge: count - before.within.get(edge, 0.0) for edge, count in now.within.items()}
    return Counters(now.requests - before.requests, now.failed - before.failed, within)


def p99_ms(counters: Counters) -> float | None:
    """The upper edge of the bucket in which 99 % of the requests lie: at most so long. None without requests."""
    total = max(counters.within.values(), default=0.0)
    if not total:
        return None
    return next(1000 * edge for edge, count in sorted(counters.within.items()) if count >= 0.99 * total)
