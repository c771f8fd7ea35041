"""All that one process serves: the datasets by name, and whether it is ready to serve them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from instrument_cache.errors import StoreUnavailable
from lookup_app.problems import VALUE_CHARACTERS_MAX, Problem, ProblemType
from lookup_app.service import LookupService


class Readiness(NamedTuple):
    """Ready if nothing is `missing` (`redis`, `warm-up`). `stale_s`: answers are stale by up to so much, else None."""

    missing: tuple[str, ...] = ()
    stale_s: float | None = None


class Backing(Protocol):
    """What stands behind the services of a process."""

    def start(self) -> None:
        """Begin the background work of this process, once it is forked. Idempotent."""
        ...

    def readiness(self) -> Readiness: ...

    def check(self) -> None:
        """Raises StoreUnavailable unless Redis itself answers a read."""
        ...


class Datasets:
    """The services by the name of their dataset."""

    def __init__(self, services: Sequence[LookupService], backing: Backing | None = None) -> None:
        self._services = {service.dataset: service for service in services}
        self._backing: Backing = backing or _Bare(services)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._services)

    def __iter__(self) -> Iterator[LookupService]:
        return iter(self._services.values())

    def get(self, name: str) -> LookupService:
        """The service of a dataset. Raises Problem (unknown-dataset), which names those that are served."""
        try:
            return self._services[name]
        except KeyError:
            shown = name[:VALUE_CHARACTERS_MAX]
            detail = f"There is no dataset {shown!r}. Those served are: {', '.join(self.names)}."
            raise Problem(ProblemType.UNKNOWN_DATASET, detail, {"value": shown, "datasets": list(self.names)}) from None

    def start(self) -> None:
        """Begin the background work (tracker, warm-up) of this process. Idempotent."""
        self._backing.start()

    def readiness(self) -> Readiness:
        """Whether callers may be sent here now."""
        return self._backing.readiness()

    def check(self) -> None:
        """Raises StoreUnavailable unless Redis itself answers."""
        self._backing.check()


class _Bare:
    """Services that read their store directly: nothing to start, and ready when the store answers."""

    def __init__(self, services: Sequence[LookupService]) -> None:
        self._services = services

    def start(self) -> None:
        return

    def readiness(self) -> Readiness:
        try:
            self.check()
        except StoreUnavailable:
            return Readiness(("redis",))
        return Readiness()

    def check(self) -> None:
        for service in self._services:
            service.check()
