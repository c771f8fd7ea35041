"""Writes the feed's state to a file that others read."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

import msgspec

from instrument_cache.clock import SystemClock
from instrument_cache.feed_state import FeedState

_PAUSE_S: Final = 0.5


def report(state: FeedState, path: Path, stop: threading.Event) -> None:
    """Write the state each half second until `stop`."""
    while not stop.wait(_PAUSE_S):
        write_state(state, path)


def write_state(state: FeedState, path: Path) -> None:
    """Write the state as it is now: whole, or not at all."""
    state.updated_at = SystemClock().now_us()
    scratch = path.with_suffix(".new")
    scratch.write_bytes(msgspec.json.encode(state))
    scratch.replace(path)
