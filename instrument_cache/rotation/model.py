"""What a rotation is made of: where consumers read a secret, who believes it, and how far the exchange is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

import msgspec


class Phase(StrEnum):
    """How far an exchange is. Until `IDLE` is reached again, it can be finished or turned back by running again."""

    IDLE = "idle"
    BEGUN = "begun"
    SWITCHED = "switched"


class Exchange(msgspec.Struct, frozen=True):
    """An exchange under way, as it lies beside the secret. `old` and `new` are secrets: it is never shown or logged.

    Turned back, `new` is what was there before. Times in seconds since 1970, 0 for what was not done: `added_at` is
    when the system began to believe both, `switched_at` when consumers were told.
    """

    old: str
    new: str
    began_at: float
    added_at: float = 0.0
    switched_at: float = 0.0
    back: bool = False


class State(msgspec.Struct, frozen=True):
    """How far one secret is, for people: nothing in it is secret. `ok`: consumers hold what is believed.

    `phase` is None if that could not be told.
    """

    name: str
    phase: Phase | None
    ok: bool
    back: bool = False
    since_s: float = 0.0
    sentence: str = ""


class Holder(Protocol):
    """Where consumers read their secrets. Methods raise HolderUnavailable."""

    def read(self, slot: str) -> str | None:
        """The text of a slot; None if there is none."""

    def write(self, values: Mapping[str, str | None]) -> None:
        """Write slots in this order, each whole or not at all; None removes one."""


class Issuer(Protocol):
    """Who believes a secret. Each method can be done again; all raise Unavailable if the system does not answer."""

    known_s: float
    """How long after `add` all who check a secret know it."""
    grace_s: float
    """How long after the switch a consumer may still come with the old one."""

    def new(self, old: str) -> str:
        """A new secret of the kind of `old`. The system does not know it yet."""

    def accepts(self, secret: str) -> bool:
        """Whether the system believes it now."""

    def add(self, secret: str, like: str) -> None:
        """Believe `secret` too, with the rights of `like`."""

    def remove(self, secret: str) -> None:
        """Believe it no more."""

    def users(self, secret: str, since_s: float) -> str:
        """Who came with the old secret in the last `since_s` seconds, as far as the system tells; "" for nobody."""

    def refused(self, secret: str, since_s: float) -> str:
        """Who was refused with it in the last `since_s` seconds, once it was taken away; "" for nobody."""
