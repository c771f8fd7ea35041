"""What the feed tells about itself, as it stands in the file of ICACHE_FEED_STATE_FILE."""

from __future__ import annotations

from pathlib import Path

import msgspec


class FeedState(msgspec.Struct):
    """Times in microseconds since 1970, 0: not yet.

    `heard_at` is when the source last said anything, a heartbeat included, and `source_timestamp` the source's own time
    of its newest change: together they tell a silent market from a lost source. `canary_at` is when canaries were last
    written to the log. `updated_at` is when this state was written: by a thread that lives as long as the process, and
    `started_at` when that process began.
    """

    phase: str = "starting"
    position: int = 0
    rows: int = 0
    sent: int = 0
    unchanged: int = 0
    swept: int = 0
    sweep_refused: int = 0
    heard_at: int = 0
    source_timestamp: int = 0
    canary_at: int = 0
    updated_at: int = 0
    started_at: int = 0


def read_feed_state(path: Path) -> FeedState | None:
    """What the feed last told, or None if it has told nothing that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=FeedState)
    except (OSError, msgspec.DecodeError):
        return None
