"""Tells who should know, once, within a bound, and never fails who calls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import redis
import structlog

from instrument_cache.alerts.incidents import Incident, Incidents
from instrument_cache.alerts.model import Alert
from instrument_cache.alerts.receivers import Receiver
from instrument_cache.alerts.settings import Routes, routes
from instrument_cache.asking.parts import Away, Part, hear_all
from instrument_cache.clock import Clock, SystemClock
from instrument_cache.connections import redis_client
from instrument_cache.errors import StoreUnavailable
from instrument_cache.settings import Environment, redis_url

logger = structlog.get_logger()
_REDIS_TIMEOUT_S = 2.0


def _client(env: Environment) -> redis.Redis:
    return redis_client(redis_url(env), name="alerts", timeout_s=_REDIS_TIMEOUT_S)


class Alerts:
    """One deployment's alerts."""

    def __init__(self, env: Environment, clock: Clock | None = None, incidents: Incidents | None = None) -> None:
        """`incidents` are by default those of the deployment's Redis. Raises SettingsError."""
        self.dataset = env.text("ICACHE_DATASET", "instruments")
        self._routes: Routes = routes(env)
        self.incidents = incidents or Incidents(_client(env), self.dataset)
        self._clock = clock or SystemClock()

    def trouble(self, alert: Alert) -> None:
        """An operation is in trouble: tell who was not told of it yet, or so long ago that it is time to say it again.

        A receiver that is away is tried again with the next trouble of the same operation. Without Redis everybody is
        told each time: twice is better than never.
        """
        now_us = self._clock.now_us()
        incident = self._open(alert.operation) or Incident(since_us=now_us)
        incident.times += 1
        incident.sentence = alert.sentence
        due_us = now_us - round(self._routes.repeat_s * 1e6)
        wanted = [each for each in self._receivers(alert.tier) if incident.told.get(each.name, 0) <= due_us]
        incident.told |= dict.fromkeys(self._send(alert, wanted), now_us)
        self._keep(alert.operation, incident)

    def well(self, alert: Alert) -> None:
        """An operation is green: tell who was told that it was not. Who is away now is told with the next green run."""
        try:
            self.incidents.note_green(alert.operation, self._clock.now_us())
            incident = self.incidents.open(alert.operation)
        except StoreUnavailable as error:
            logger.error("alert_state_away", operation=alert.operation, error=str(error))
            return
        if incident is not None:
            self._resolve(alert, incident)

    def _resolve(self, alert: Alert, incident: Incident) -> None:
        wanted = [each for each in self._receivers(alert.tier) if each.name in incident.told]
        told = self._send(alert, wanted)
        left = {each.name for each in wanted} - set(told)
        if not left:
            self.incidents.close(alert.operation)
            return
        incident.told = {name: at for name, at in incident.told.items() if name in left}
        self._keep(alert.operation, incident)

    def _receivers(self, tier: int) -> Sequence[Receiver]:
        return self._routes.by_tier[tier]

    def _send(self, alert: Alert, receivers: Sequence[Receiver]) -> list[str]:
        """Who took it. All at once: the slowest one costs the deadline, and the others nothing."""
        logger.info("alert", kind=alert.kind, operation=alert.operation, tier=alert.tier, sentence=alert.sentence)
        parts = [Part(receiver.name, partial(receiver.send, alert)) for receiver in receivers]
        answers = hear_all(parts, self._routes.deadline_s)
        return [name for name, answer in answers.items() if not isinstance(answer, Away)]

    def _open(self, operation: str) -> Incident | None:
        try:
            return self.incidents.open(operation)
        except StoreUnavailable as error:
            logger.error("alert_state_away", operation=operation, error=str(error))
            return None

    def _keep(self, operation: str, incident: Incident) -> None:
        try:
            self.incidents.keep(operation, incident)
        except StoreUnavailable as error:
            logger.error("alert_state_away", operation=operation, error=str(error))
