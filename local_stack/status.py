"""`icache status`: what each part does, and how far the data has come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from instrument_cache.change import is_tombstone
from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.dead_letters.reader import read_letters
from instrument_cache.freshness import Freshness
from instrument_cache.settings import Environment, contract_path
from instrument_cache.source.registry import open_source
from instrument_cache.store.redis import RedisStore
from local_stack.commands.freshness import make_probe
from local_stack.components.product import feed_state
from local_stack.instance import DATASET, Instance
from local_stack.stack import parts
from local_stack.supervisor import Supervisor, SupervisorUnavailable


def status(instance: Instance) -> dict[str, Any]:
    """{"parts": {name: {state, pid, port, restarts, since}}, "counts": {...}}; a count that cannot be had is None."""
    return {"home": str(instance.home), "parts": _parts(instance), "counts": _counts(instance)}


def all_running(report: dict[str, Any]) -> bool:
    """True if every part runs."""
    return all(part["state"] == "RUNNING" for part in report["parts"].values())


def _parts(instance: Instance) -> dict[str, dict[str, Any]]:
    supervisor = Supervisor(instance)
    try:
        states, restarts = supervisor.states(), supervisor.restarts()
    except SupervisorUnavailable:
        states, restarts = {}, {}
    return {
        component.name: {
            "state": states.get(component.name, {}).get("statename", "STOPPED"),
            "pid": states.get(component.name, {}).get("pid") or None,
            "port": instance.port(component.ports[0]) if component.ports else None,
            "restarts": restarts.get(component.name, 0),
        }
        for component in parts(instance)
    }


def _counts(instance: Instance) -> dict[str, Any]:
    freshness = _ask(lambda: make_probe(instance).look())
    feed: dict[str, Any] = feed_state(instance)
    return {
        "source_rows": _ask(lambda: _source(instance).count()),
        "feed_phase": feed.get("phase"),
        "kafka_lag": freshness and _waiting(freshness),
        "keys": _ask(lambda: _keys(instance)),
        "dead_letters": _ask(lambda: len({letter.position for letter in read_letters(instance.kafka, DATASET)})),
        # The cache is at most this far behind the feed.
        "freshness_s": freshness and freshness.canary_age_s_max,
        "freshness": freshness and freshness.verdict,
        "outcomes": _ask(lambda: _store(instance).counters()),
    }


def _waiting(freshness: Freshness) -> int | None:
    """Records in Kafka that are not applied; None if Kafka does not say."""
    behind = [partition.behind for partition in freshness.partitions]
    return None if None in behind else sum(filter(None, behind))


def _ask(question: Callable[[], Any]) -> Any:
    with suppress(Exception):  # a part that is down must not hide what the others say
        return question()
    return None


def _source(instance: Instance) -> Any:
    settings = instance.settings()
    return open_source(settings["ICACHE_SOURCE_URL"], Environment(settings))


def _store(instance: Instance) -> RedisStore:
    return RedisStore(redis_client(instance.redis_url, name="status"), DATASET)


def _keys(instance: Instance) -> int:
    prefix = load_contract(contract_path(Environment(instance.settings()))).key_prefix
    return sum(not is_tombstone(value) for _, value in _store(instance).scan(prefix))
