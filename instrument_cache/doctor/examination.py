"""Which parts this deployment has, and the examination of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from instrument_cache.asking.parts import Part
from instrument_cache.clock import Clock, SystemClock
from instrument_cache.doctor.asking import ask_all, part_of
from instrument_cache.doctor.feed_part import look_at_feed, look_at_source
from instrument_cache.doctor.flink_part import look_at_flink
from instrument_cache.doctor.machine_part import look_at_clocks, look_at_disks
from instrument_cache.doctor.model import Finding, red_first
from instrument_cache.doctor.operations_part import look_at_operations
from instrument_cache.doctor.proof_part import look_at_proofs
from instrument_cache.doctor.redis_part import look_at_redis, look_at_sentinels
from instrument_cache.doctor.restarts_part import look_at_restarts
from instrument_cache.doctor.secrets_part import look_at_secrets
from instrument_cache.doctor.service_part import (
    look_at_airflow,
    look_at_kafka,
    look_at_lookup,
    look_at_region,
    regions_of,
)
from instrument_cache.doctor.stream_part import look_at_account, look_at_rejects, look_at_stream
from instrument_cache.settings import Environment, environment


def examine(env: Environment | None = None, *, more: Sequence[Part] = (), clock: Clock | None = None) -> list[Finding]:
    """Ask every part of the deployment that the settings describe, and `more`, all at once. Red comes first.

    It takes as long as the slowest part, at most ICACHE_DOCTOR_DEADLINE_S. Never raises for a part that is away; raises
    SettingsError for a deadline that is none.
    """
    env = env or environment()
    deadline_s = env.integer("ICACHE_DOCTOR_DEADLINE_S", default=25, low=1, high=300)
    return red_first(ask_all([*more, *parts(env, clock or SystemClock())], deadline_s))


def parts(env: Environment, clock: Clock) -> Iterator[Part]:
    """The parts of which the settings say where they are."""
    yield part_of("redis", look_at_redis, env)
    yield part_of("sentinel", look_at_sentinels, env)
    yield part_of("kafka", look_at_kafka, env)
    yield part_of("flink", look_at_flink, env)
    yield from _optional(env, clock)
    for name, settings in regions_of(env).items():
        yield part_of(f"s3:{name}", look_at_region, name, settings, env)
    yield part_of("stream", look_at_stream, env)
    yield part_of("account", look_at_account, env)
    yield part_of("rejects", look_at_rejects, env)
    yield part_of("proofs", look_at_proofs, env, clock)
    yield part_of("operations", look_at_operations, env)
    yield part_of("clock", look_at_clocks, env, clock)


def _optional(env: Environment, clock: Clock) -> Iterator[Part]:
    """What a process may not be told of: it is then not asked."""
    given = env.variables
    if path := given.get("ICACHE_FEED_STATE_FILE"):
        yield part_of("feed", look_at_feed, Path(path), clock)
    if given.get("ICACHE_SOURCE_URL"):
        yield part_of("source", look_at_source, env)
    if url := given.get("ICACHE_LOOKUP_URL"):
        yield part_of("lookup", look_at_lookup, url)
    if given.get("ICACHE_ROTATION_SECRETS"):
        yield part_of("secrets", look_at_secrets, env)
    if url := given.get("ICACHE_AIRFLOW_URL"):
        yield part_of("airflow", look_at_airflow, url)
    if folders := given.get("ICACHE_DOCTOR_FOLDERS"):
        yield part_of("disk", look_at_disks, [Path(folder) for folder in folders.split(":")])
    if log := given.get("ICACHE_DOCTOR_SUPERVISOR_LOG"):
        yield part_of("processes", look_at_restarts, Path(log), clock)
