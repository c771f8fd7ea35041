"""Kafka, S3, the lookup service and Airflow: does each answer, and what does it say of itself?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import httpx

from instrument_cache.backup.region import region_settings
from instrument_cache.connections import s3_client
from instrument_cache.doctor.model import Finding
from instrument_cache.errors import LogUnavailable, ObjectStoreUnavailable
from instrument_cache.kafka import topic_spans
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import Environment, S3Settings

_TIMEOUT_S: Final = 5.0
# The quickest counts: the first makes the connection, and a machine may be busy for a moment.
_S3_LISTS: Final = 3
_AIRFLOW: Final = {
    "metadatabase": ("airflow-api-server", "Airflow's database does not answer: no DAG runs"),
    "scheduler": ("airflow-scheduler", "no DAG is started: neither by schedule nor by hand"),
    "triggerer": ("airflow-triggerer", "nobody watches the stream's job, and nothing that waits goes on"),
    "dag_processor": ("airflow-dag-processor", "changes of DAG files are not seen"),
}


def look_at_kafka(env: Environment) -> Iterator[Finding]:
    """Whether it tells the ends of the dataset's topic."""
    bootstrap, dataset = env.text("ICACHE_KAFKA_BOOTSTRAP"), env.text("ICACHE_DATASET", "instruments")
    try:
        spans = topic_spans(bootstrap, dataset)
    except LogUnavailable as error:
        yield Finding(
            "kafka",
            "red",
            str(error),
            "the broker has ended or is starting: the feed waits, and nothing new reaches the cache",
            "icache restart kafka",
            "stream_instruments",
        )
        return
    kept = sum(span.end - span.start for span in spans.values())
    yield Finding("kafka", "ok", f"{bootstrap} keeps {kept} offsets in {len(spans)} partitions of {dataset!r}")


def look_at_region(name: str, settings: S3Settings, env: Environment) -> Iterator[Finding]:
    """Whether one region's S3 lists the bucket of backups, and soon."""
    limit_ms = env.integer("ICACHE_DOCTOR_S3_MS_MAX", default=200, low=1, high=10_000)
    try:
        # One try: whoever asks the doctor wants to know of each failure.
        store = ObjectStore(settings, s3_client(settings, silence_s=_TIMEOUT_S, tries=1))
        took_ms = _quickest_ms(store, limit_ms)
    except ObjectStoreUnavailable as error:
        first = name == "first"
        yield Finding(
            f"s3:{name}",
            "red",
            str(error),
            "the server has ended, or refuses the keys: "
            + ("no checkpoint, backup or report is written" if first else "backups lie in one region only"),
            "icache restart " + ("s3" if first else "s3-second"),
            "cache_backup",
        )
        return
    if took_ms > limit_ms:
        yield Finding(
            f"s3:{name}",
            "warn",
            f"S3 at {settings.endpoint} takes {took_ms:.0f} ms to list its bucket; {limit_ms} ms are expected",
            "the network is slow, or the server has too much to do: operations take longer",
            "icache status; look at the network and at the server's disks",
            "cache_backup",
        )
        return
    yield Finding(f"s3:{name}", "ok", f"{settings.endpoint} lists the bucket {settings.bucket!r}")


def _quickest_ms(store: ObjectStore, limit_ms: float) -> float:
    """Of some lists, or of the first that is quick enough."""
    took_ms = _listed_ms(store)
    for _ in range(_S3_LISTS - 1):
        if took_ms <= limit_ms:
            break
        took_ms = min(took_ms, _listed_ms(store))
    return took_ms


def _listed_ms(store: ObjectStore) -> float:
    began = time.monotonic()
    next(iter(store.keys("doctor/")), None)
    return (time.monotonic() - began) * 1000


def regions_of(env: Environment) -> dict[str, S3Settings]:
    """Region's name → its S3. Raises SettingsError."""
    return region_settings(env)


def look_at_lookup(url: str) -> Iterator[Finding]:
    """Whether requests may be sent to the lookup service."""
    try:
        answer = httpx.get(f"{url}/readyz", timeout=_TIMEOUT_S, trust_env=False)
    except httpx.HTTPError as error:
        yield _no_lookup(f"the lookup service at {url} does not answer: {error or type(error).__name__}")
        return
    told = _json(answer)
    if not answer.is_success:
        reason = told.get("detail", f"HTTP status {answer.status_code}")
        yield _no_lookup(f"the lookup service at {url} is not ready: {reason}")
    elif told.get("stale"):
        yield Finding(
            "lookup",
            "warn",
            f"the lookup service answers from its near cache only, {told.get('stale_s')} s old",
            "it does not reach Redis: what is not in its cache is answered with 503",
            "mend Redis first",
        )
    else:
        yield Finding("lookup", "ok", f"{url} is ready")


def _no_lookup(sentence: str) -> Finding:
    why = "its process has ended or starts, or it does not reach Redis: readers get no answer"
    return Finding("lookup", "red", sentence, why, "icache restart lookup; icache logs lookup", "freshness")


def look_at_airflow(url: str) -> Iterator[Finding]:
    """What Airflow's own health says of each of its parts."""
    try:
        answer = httpx.get(f"{url}/api/v2/monitor/health", timeout=_TIMEOUT_S, trust_env=False)
    except httpx.HTTPError as error:
        yield Finding(
            "airflow",
            "red",
            f"Airflow at {url} does not answer: {error or type(error).__name__}",
            "the API server has ended or starts: no operation runs, the stream itself goes on",
            "icache restart airflow-api-server",
        )
        return
    told = _json(answer)
    sick = [part for part in _AIRFLOW if (told.get(part) or {}).get("status") not in ("healthy", None)]
    yield from (_sick(part, told[part]) for part in sick)
    if not sick:
        yield Finding("airflow", "ok", f"{', '.join(part for part in _AIRFLOW if told.get(part))} are healthy")


def _sick(part: str, told: dict[str, Any]) -> Finding:
    beat = next((value for name, value in told.items() if name.startswith("latest_")), None)
    component, why = _AIRFLOW[part]
    since = f"; its last heartbeat was at {beat}" if beat else ""
    sentence = f"Airflow's {part.replace('_', ' ')} is {told.get('status')}{since}"
    return Finding("airflow", "red", sentence, f"its process has ended or hangs: {why}", f"icache restart {component}")


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found: Any = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
