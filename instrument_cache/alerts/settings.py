"""Who is told of which tier, and where they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from instrument_cache.alerts.receivers import Mail, PagerDuty, Receiver, Slack
from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment


@dataclass(frozen=True)
class Routes:
    """Tier → who is told. `deadline_s` is for all receivers together, `repeat_s` for the same trouble again."""

    by_tier: dict[int, tuple[Receiver, ...]]
    deadline_s: float
    repeat_s: float


def routes(env: Environment) -> Routes:
    """A receiver without an address is left out. Raises SettingsError for a name that is none."""
    named = {
        1: env.text("ICACHE_ALERT_TIER_1", "pagerduty,slack,mail"),
        2: env.text("ICACHE_ALERT_TIER_2", "slack,mail"),
        3: env.text("ICACHE_ALERT_TIER_3", "mail"),
    }
    return Routes(
        {tier: tuple(_receivers(env, names)) for tier, names in named.items()},
        deadline_s=env.integer("ICACHE_ALERT_DEADLINE_S", default=10, low=1, high=60),
        repeat_s=env.integer("ICACHE_ALERT_REPEAT_S", default=21_600, low=60, high=604_800),
    )


def _receivers(env: Environment, names: str) -> list[Receiver]:
    found = [_receiver(env, name.strip()) for name in names.split(",") if name.strip() != "nobody"]
    return [receiver for receiver in found if receiver]


def _receiver(env: Environment, name: str) -> Receiver | None:
    if name not in _MAKERS:
        raise SettingsError(f"a tier's alerts go to {name!r}; they may go to {', '.join(_MAKERS)} or nobody")
    return _MAKERS[name](env)


def _slack(env: Environment) -> Receiver | None:
    url = env.secret("ICACHE_ALERT_SLACK_URL", "none")
    return Slack(url) if url != "none" else None


def _pagerduty(env: Environment) -> Receiver | None:
    key = env.secret("ICACHE_ALERT_PAGERDUTY_KEY", "none")
    url = env.text("ICACHE_ALERT_PAGERDUTY_URL", "https://events.pagerduty.com/v2/enqueue")
    return PagerDuty(url, key) if key != "none" else None


def _mail(env: Environment) -> Receiver | None:
    url = env.secret("ICACHE_ALERT_SMTP_URL", "none")
    if url == "none":
        return None
    return Mail(url, env.text("ICACHE_ALERT_MAIL_FROM"), env.text("ICACHE_ALERT_MAIL_TO"))


_MAKERS: Final[dict[str, Callable[[Environment], Receiver | None]]] = {
    "slack": _slack,
    "pagerduty": _pagerduty,
    "mail": _mail,
}
