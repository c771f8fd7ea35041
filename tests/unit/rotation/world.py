"""A secret, who believes it and who reads it, in memory, with a hook before each change of the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count

from instrument_cache.rotation.exchange import Rotation

SLOT = "password"


class Killed(BaseException):
    """The process ends here: nothing catches it."""


class World:
    """Implements `Holder` and `Issuer`. `die_after` changes of the world, the next one kills."""

    def __init__(self) -> None:
        self.slots: dict[str, str] = {SLOT: "secret-0"}
        self.believed = {"secret-0"}
        self.known_s = 5.0
        self.grace_s = 10.0
        self.known_since: dict[str, float] = {"secret-0": 0.0}
        self.now_s = 1000.0
        self.late: dict[str, str] = {}  # secret → who comes with it
        self.die_after = -1
        self.changes = 0
        self.seen: Callable[[], None] = lambda: None
        self._numbers = count(1)

    @property
    def rotation(self) -> Rotation:
        """As a new process makes it."""
        return Rotation("redis:default", SLOT, self, self, watch_s=2.0, wall=lambda: self.now_s, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def read(self, slot: str) -> str | None:
        return self.slots.get(slot)

    def write(self, values: Mapping[str, str | None]) -> None:
        for slot, value in values.items():
            self._change()
            if value is None:
                self.slots.pop(slot, None)
            else:
                self.slots[slot] = value
            self.seen()

    def new(self, old: str) -> str:
        return f"secret-{next(self._numbers)}"

    def accepts(self, secret: str) -> bool:
        return secret in self.believed

    def add(self, secret: str, like: str) -> None:
        self._change()
        self.believed.add(secret)
        self.known_since.setdefault(secret, self.now_s + self.known_s)
        self.seen()

    def remove(self, secret: str) -> None:
        self._change()
        self.believed.discard(secret)
        self.known_since.pop(secret, None)
        self.seen()

    def users(self, secret: str, since_s: float) -> str:
        return self.late.get(secret, "") if secret not in self.believed else ""

    def refused(self, secret: str, since_s: float) -> str:
        return self.late.get(secret, "") if secret not in self.believed else ""

    def _change(self) -> None:
        if self.changes == self.die_after:
            raise Killed
        self.changes += 1
