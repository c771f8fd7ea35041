"""The feed's position in a real log: what a slow feed still owes is waited for."""

from __future__ import annotations

import threading
from itertools import count

import pytest

from feed.canary import Canaries
from feed.change_log.kafka import KafkaChangeLog
from feed.topics import ensure_topics
from instrument_cache.contract import Contract
from instrument_cache.errors import LogUnavailable
from instrument_cache.kafka import read_to_end
from instrument_cache.reconcile.fence import LogFence
from instrument_cache.records import RecordMaker
from local_stack.instance import Instance
from tests.servers import free_port

TOPIC = "fence"
LATE = 10


@pytest.fixture
def log(instance: Instance) -> KafkaChangeLog:
    ensure_topics(instance.kafka, TOPIC, partitions=2, replication=1)
    return KafkaChangeLog(instance.kafka, TOPIC)


def test_all_up_to_a_position_lies_before_its_canaries(
    instance: Instance, log: KafkaChangeLog, contract: Contract
) -> None:
    canaries, found = Canaries(log, RecordMaker(contract, "sow"), 1), threading.Event()

    def feed() -> None:
        """Passes the position late, behind a change."""
        for second in count(1):
            if second == LATE:
                log.write(b"037833100", b"the change", 1)
            canaries.write_if_due(second * 1_000_000, 10 if second >= LATE else 9)
            log.flush()
            if found.wait(0.2):
                return

    slow = threading.Thread(target=feed)
    slow.start()
    ends = LogFence(instance.kafka, TOPIC).ends(10, 60)
    found.set()
    slow.join()
    changes = read_to_end(instance.kafka, TOPIC, group="test")
    [place] = [change.offset() for change in changes if change.value() == b"the change"]
    assert ends is not None
    assert ends.keys() == {0, 1}
    assert ends[0] >= LATE
    assert ends[1] > place >= LATE - 1


def test_a_feed_that_stands_and_a_log_that_is_away(instance: Instance, log: KafkaChangeLog) -> None:
    log.flush()
    assert LogFence(instance.kafka, TOPIC).ends(10**9, 0.5) is None
    with pytest.raises(LogUnavailable):
        LogFence(f"127.0.0.1:{free_port()}", TOPIC).ends(1, 0.5)
