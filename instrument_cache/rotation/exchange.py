"""One secret is exchanged, step by step. Each step can be done again, so whoever is killed runs it again.

    begin    make the new secret and lay it beside the old one     nothing has changed for anybody
    switch   have the system believe both, then tell consumers     either secret works, for those who check it know both
    settled  wait until nobody can come with the old one           either secret works
    finish   have the system believe the new one only              the old one is worth nothing

Until the end of `finish`, `turn_back` makes the old one the new one: the same steps lead back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from instrument_cache.doctor.text import duration
from instrument_cache.errors import RotationError
from instrument_cache.rotation.model import Exchange, Holder, Issuer, Phase, State

logger = structlog.get_logger()
_SUFFIX: Final = ".rotation"


class Rotation:
    """Of the secret in `slot` of the holder, which `issuer` believes. `name` is how people call it.

    Methods raise Unavailable, and RotationError for what a person has to see to.
    """

    def __init__(
        self,
        name: str,
        slot: str,
        holder: Holder,
        issuer: Issuer,
        *,
        watch_s: float = 0.0,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._slot, self._note, self._holder, self._issuer = slot, slot + _SUFFIX, holder, issuer
        self._watch_s, self._wall, self._sleep = watch_s, wall, sleep

    def state(self) -> State:
        """How far it is. Nothing is changed."""
        exchange, current = self._exchange(), self._current()
        if exchange is None:
            well = self._issuer.accepts(current)
            told = "in use, nothing is under way" if well else "what consumers read is not believed: new logins fail"
            return State(self.name, Phase.IDLE, well, sentence=told)
        switched = current == exchange.new
        since_s = self._wall() - (exchange.switched_at if switched else exchange.began_at)
        way = "being rolled back" if exchange.back else "being rotated"
        step = "consumers were told" if switched else "consumers were not told yet"
        return State(
            self.name,
            Phase.SWITCHED if switched else Phase.BEGUN,
            self._issuer.accepts(current),
            exchange.back,
            since_s,
            f"{way}: {step}, {duration(since_s)} ago" if switched else f"{way}: {step}",
        )

    def begin(self) -> None:
        """Lay a new secret beside the old one, unless an exchange is under way."""
        if self._exchange() is not None:
            return
        old = self._current()
        if not self._issuer.accepts(old):
            raise RotationError(f"{self.name} is not rotated: what its consumers read is not believed; mend that first")
        self._keep(Exchange(old, self._issuer.new(old), self._wall()))

    def switch(self) -> None:
        """Have the system believe both secrets, and tell the consumers as soon as all who check it know the new one.

        Call it again until `waits_for` no longer says that they were not told. Nothing if no exchange is under way.
        """
        exchange = self._exchange()
        if exchange is None:
            return
        exchange = self._added(exchange)
        told = exchange.switched_at and self._current() == exchange.new
        if told or self._wall() < exchange.added_at + self._issuer.known_s:
            return
        exchange = msgspec.structs.replace(exchange, switched_at=self._wall())
        self._holder.write({self._note: _text(exchange), self._slot: exchange.new})
        logger.info("secret_switched", secret=self.name, back=exchange.back)

    def _added(self, exchange: Exchange) -> Exchange:
        if self._issuer.accepts(exchange.new) and exchange.added_at:
            return exchange
        self._issuer.add(exchange.new, like=exchange.old)
        if not self._issuer.accepts(exchange.new):
            raise RotationError(f"{self.name}: the system does not believe the new secret; consumers keep the old one")
        exchange = msgspec.structs.replace(exchange, added_at=self._wall(), switched_at=0.0)
        self._keep(exchange)
        return exchange

    def waits_for(self) -> str:
        """Why the old secret must not go yet, in a sentence; "" if it may."""
        exchange = self._exchange()
        if exchange is None:
            return ""
        if self._current() != exchange.new or not exchange.switched_at:
            return f"{self.name}: consumers were not told of the new secret yet, until all who check it know it"
        left_s = exchange.switched_at + self._issuer.grace_s - self._wall()
        if left_s > 0:
            return f"{self.name}: for {duration(left_s)} more a consumer may come with the old secret"
        users = self._issuer.users(exchange.old, -left_s)
        return f"{self.name}: the old secret is in use: {users}" if users else ""

    def finish(self) -> None:
        """Have the system believe the old secret no more. Whoever comes with it all the same brings it back.

        Raises RotationError, which names who that was.
        """
        exchange = self._exchange()
        if exchange is None:
            return
        if reason := self.waits_for():
            self._issuer.add(exchange.old, like=exchange.new)  # an earlier try may have been killed after it had gone
            raise RotationError(f"{reason}; both secrets stay good until then")
        began_s = self._wall()
        self._issuer.remove(exchange.old)
        if users := self._users_after(exchange.old, began_s):
            self._issuer.add(exchange.old, like=exchange.new)
            raise RotationError(
                f"{self.name}: the old secret was asked for after it had gone, and is good again: {users}; "
                "have them read the new one, then run it again"
            )
        self._holder.write({self._note: None})
        logger.info("secret_exchanged", secret=self.name, back=exchange.back)

    def turn_back(self) -> None:
        """Make the old secret the new one. It is done by the steps from `switch` on. Twice is once."""
        exchange = self._exchange()
        if exchange is not None and not exchange.back:
            known_since = exchange.began_at if self._issuer.accepts(exchange.old) else 0.0
            self._keep(Exchange(exchange.new, exchange.old, self._wall(), known_since, back=True))

    def _users_after(self, secret: str, began_s: float) -> str:
        """Who comes with a secret that has gone, within the time that it is watched."""
        while True:
            passed_s = self._wall() - began_s
            if (users := self._issuer.refused(secret, passed_s)) or passed_s >= self._watch_s:
                return users
            self._sleep(min(0.5, self._watch_s - passed_s))

    def _current(self) -> str:
        current = self._holder.read(self._slot)
        if not current:
            raise RotationError(f"{self.name}: the slot {self._slot!r} is empty; write the secret there that is in use")
        return current

    def _exchange(self) -> Exchange | None:
        note = self._holder.read(self._note)
        try:
            return msgspec.json.decode(note, type=Exchange) if note else None
        except msgspec.DecodeError:  # its text may hold the secrets
            raise RotationError(
                f"{self.name}: the slot {self._note!r} cannot be read; if {self._slot!r} works, remove it"
            ) from None

    def _keep(self, exchange: Exchange) -> None:
        self._holder.write({self._note: _text(exchange)})


def _text(exchange: Exchange) -> str:
    return msgspec.json.encode(exchange).decode()
