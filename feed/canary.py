"""The feed's canaries: proof, from end to end, that the path feed → Kafka → job → Redis is alive.

They are written by the loop that handles the source's messages and heartbeats, never by a thread of their own. So a
feed that hangs, or whose source is away, is silent too and pretends no freshness; and a canary that waits in a full
queue is as late as the changes before it.
"""

from __future__ import annotations

from feed.change_log.interface import ChangeLog
from instrument_cache.canary import canary_key
from instrument_cache.records import RecordMaker


class Canaries:
    """Writes one record to each partition of the log, at most once per interval; an interval of 0 turns it off.

    Raises LogUnavailable if the log does not tell its partitions.
    """

    def __init__(self, log: ChangeLog, maker: RecordMaker, interval_s: int) -> None:
        self._log, self._maker = log, maker
        # In a silent market a heartbeat each second is the only occasion: one that comes a little early is not missed.
        self._pause_us = interval_s * 900_000
        # Asked once: a topic that gets more partitions needs a new feed anyway, for its keys move.
        self._partitions = log.partitions() if interval_s else []
        self._written_at_us = 0

    def write_if_due(self, now_us: int, position: int) -> bool:
        """Write them if the interval is over; True if they were written. Raises LogUnavailable."""
        # A clock that was set back must not silence them until it has caught up.
        if not self._partitions or 0 <= now_us - self._written_at_us < self._pause_us:
            return False
        value = self._maker.canary(position, now_us)
        for partition in self._partitions:
            self._log.write(canary_key(partition), value, partition)
        self._written_at_us = now_us
        return True
