"""All parts of the stack, in the order of their start."""

from __future__ import annotations

from typing import Final

from instrument_cache.errors import InstrumentCacheError
from local_stack.components.airflow import AIRFLOW
from local_stack.components.component import Component
from local_stack.components.flink import JOBMANAGER, TASKMANAGER
from local_stack.components.kafka import KAFKA
from local_stack.components.product import FEED, LOOKUP, POD_RUNNER, SIMULATOR
from local_stack.components.redis import REDIS
from local_stack.components.s3 import S3

COMPONENTS: Final[tuple[Component, ...]] = (
    REDIS,
    KAFKA,
    S3,
    SIMULATOR,
    JOBMANAGER,
    TASKMANAGER,
    POD_RUNNER,
    *AIRFLOW,
    FEED,
    LOOKUP,
)


def component(name: str) -> Component:
    """The part of that name. Raises InstrumentCacheError, which lists the names."""
    for candidate in COMPONENTS:
        if candidate.name == name:
            return candidate
    names = ", ".join(candidate.name for candidate in COMPONENTS)
    raise InstrumentCacheError(f"there is no part {name!r}; the parts are: {names}")
