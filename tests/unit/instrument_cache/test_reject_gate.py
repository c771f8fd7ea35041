"""The share of rejects: an alarm when it is too large, and a stream that stops if so set."""

from __future__ import annotations

import pytest

from instrument_cache.batch import BatchApplier
from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract
from instrument_cache.reject_gate import RejectGate, RejectLimit, RejectLimits, clear_alarm, current_alarm
from instrument_cache.store.memory import MemoryStore

LIMITS = RejectLimits(share_max=0.2, records_min=10, window_s=60)


class Keys(dict[str, bytes]):
    """As much of a Redis client as the gate asks for."""

    def set(self, key: str, value: bytes, ex: int | None = None) -> None:
        self[key] = value

    def delete(self, key: str) -> int:
        return int(self.pop(key, None) is not None)


def gate(client: Keys, stops: bool = False, now: float = 0.0) -> RejectGate:
    limits = RejectLimits(LIMITS.share_max, LIMITS.records_min, LIMITS.window_s, stops)
    return RejectGate(client, "instruments", limits, FakeClock(), monotonic=lambda: now)


@pytest.mark.parametrize(("records", "rejected", "alarmed"), [(9, 9, False), (100, 20, False), (100, 21, True)])
def test_alarms_above_the_share_of_enough_records(records: int, rejected: int, alarmed: bool) -> None:
    client = Keys()
    gate(client).note(records, ["malformed_json: x"] * rejected)
    alarm = current_alarm(client, "instruments")
    assert (alarm is not None) == alarmed
    if alarm:
        assert (alarm.rejected, alarm.total, alarm.share, alarm.sample) == (21, 100, 0.21, "malformed_json: x")


def test_what_lies_behind_the_window_counts_no_more() -> None:
    client, now = Keys(), [0.0]
    watch = RejectGate(client, "instruments", LIMITS, FakeClock(), monotonic=lambda: now[0])
    watch.note(9, ["x"] * 9)
    now[0] = 61.0
    watch.note(9, ["x"])
    assert current_alarm(client, "instruments") is None


def test_a_stream_that_stops_touches_nothing_until_somebody_resumes_it(contract: Contract) -> None:
    client, store = Keys(), MemoryStore(FakeClock())
    applier = BatchApplier(contract, store, gate=gate(client, stops=True))
    applier.apply([b"{"] * 10, [0] * 10, range(10))
    with pytest.raises(RejectLimit, match="icache dlq resume"):
        applier.apply([b"{"], [0], [10])
    assert store.accounts()[0].next == 10
    assert clear_alarm(client, "instruments")
    assert applier.apply([None], [0], [10]) == {}


def test_a_stream_that_only_alarms_goes_on(contract: Contract) -> None:
    client = Keys()
    applier = BatchApplier(contract, MemoryStore(FakeClock()), gate=gate(client))
    applier.apply([b"{"] * 10, [0] * 10, range(10))
    assert current_alarm(client, "instruments") is not None
    applier.apply([None], [0], [10])
