"""When there is a fast lane, and how workers learn of it."""

from __future__ import annotations

import pytest

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment
from lookup_app.fast_lane.settings import hand_down, handed_down, wanted

BASE = {"ICACHE_REDIS_URL": "redis://x", "ICACHE_LOOKUP_FAST_LANE": "true"}


def test_it_is_off_unless_it_is_turned_on() -> None:
    assert not wanted(Environment({"ICACHE_REDIS_URL": "redis://x"}))
    assert wanted(Environment(BASE))


@pytest.mark.parametrize("own", [{"ICACHE_LOOKUP_HOT_PATH": "false"}, {"ICACHE_LOOKUP_RATE_PER_S": "5"}])
def test_what_cannot_go_together_is_refused(own: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="ICACHE_LOOKUP_FAST_LANE is 'true'"):
        wanted(Environment({**BASE, **own}))


def test_a_limit_by_client_can() -> None:
    assert wanted(Environment({**BASE, "ICACHE_LOOKUP_RATE_PER_S": "5", "ICACHE_LOOKUP_AUTH": "api-key"}))


def test_workers_are_told() -> None:
    variables = {"ICACHE_LOOKUP_THREADS": "3"}
    assert handed_down(variables) is None
    hand_down(("::1", 8000), "/tmp/a b.sock", variables)
    lane = handed_down(variables)
    assert lane is not None
    assert (lane.address, lane.server, lane.threads) == (("::1", 8000), "/tmp/a b.sock", 3)
    assert lane.request_s_max == 25
