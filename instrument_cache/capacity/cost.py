"""What the cache costs a month, with the prices of the settings: a price of 0 is one that nobody has told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from instrument_cache.settings import Environment, environment

_GB: Final = 1e9


@dataclass(frozen=True, slots=True)
class Prices:
    """Cents per gigabyte and month. `memory_copies` is the primary with its replicas."""

    memory_cents: int = 0
    disk_cents: int = 0
    objects_cents: int = 0
    memory_copies: int = 1


def prices(env: Environment | None = None) -> Prices:
    """The prices of the settings. Raises SettingsError."""
    env = env or environment()
    return Prices(
        env.integer("ICACHE_PRICE_MEMORY_CENTS", default=0, low=0, high=1_000_000),
        env.integer("ICACHE_PRICE_DISK_CENTS", default=0, low=0, high=1_000_000),
        env.integer("ICACHE_PRICE_OBJECTS_CENTS", default=0, low=0, high=1_000_000),
        env.integer("ICACHE_PRICE_MEMORY_COPIES", default=1, low=1, high=20),
    )


class Sizes(msgspec.Struct, frozen=True):
    """Bytes in Redis's memory, in its file, and in the backups of all regions together."""

    memory: float
    disk: float
    objects: float


class Cost(msgspec.Struct, frozen=True):
    """A month, in cents; `unpriced` names what no price was set for."""

    memory_cents: float
    disk_cents: float
    objects_cents: float
    unpriced: tuple[str, ...]

    @property
    def total_cents(self) -> float:
        """All that has a price."""
        return self.memory_cents + self.disk_cents + self.objects_cents


def cost_of(sizes: Sizes, at: Prices) -> Cost:
    """What these sizes cost a month."""
    priced = {"memory": at.memory_cents, "disk": at.disk_cents, "objects": at.objects_cents}
    return Cost(
        memory_cents=sizes.memory / _GB * at.memory_cents * at.memory_copies,
        disk_cents=sizes.disk / _GB * at.disk_cents * at.memory_copies,
        objects_cents=sizes.objects / _GB * at.objects_cents,
        unpriced=tuple(name for name, price in priced.items() if not price),
    )
