"""All parts of the stack, in the order of their start."""

from __future__ import annotations

from typing import Final

from instrument_cache.errors import InstrumentCacheError
from local_stack.components.airflow import AIRFLOW
from local_stack.components.component import Component
from local_stack.components.flink import JOBMANAGER, TASKMANAGER
from local_stack.components.kafka import KAFKA
from local_stack.components.product import EXPORTER, FEED, LOOKUP, LOOKUP_CHANGES, LOOKUP_RPC, POD_RUNNER, SIMULATOR
from local_stack.components.redis import REDIS
from local_stack.components.s3 import S3, S3_SECOND
from local_stack.components.schema_registry import SCHEMA_REGISTRY
from local_stack.instance import Instance

COMPONENTS: Final[tuple[Component, ...]] = (
    REDIS,
    KAFKA,
    S3,
    S3_SECOND,
    SIMULATOR,
    JOBMANAGER,
    TASKMANAGER,
    POD_RUNNER,
    *AIRFLOW,
    FEED,
    LOOKUP,
    LOOKUP_CHANGES,
    LOOKUP_RPC,
    EXPORTER,
)

OPTIONAL: Final[tuple[Component, ...]] = (SCHEMA_REGISTRY,)


def parts(instance: Instance) -> tuple[Component, ...]:
    """The parts that an instance runs: all that are not optional, and the optional ones that it has chosen."""
    return (*COMPONENTS, *(part for part in OPTIONAL if part.name in instance.options))


def component(name: str) -> Component:
    """The part of that name. Raises InstrumentCacheError, which lists the names."""
    known = (*COMPONENTS, *OPTIONAL)
    for candidate in known:
        if candidate.name == name:
            return candidate
    names = ", ".join(candidate.name for candidate in known)
    raise InstrumentCacheError(f"there is no part {name!r}; the parts are: {names}")
