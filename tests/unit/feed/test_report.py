"""The file in which the feed tells its state."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from feed.report import report, write_state
from instrument_cache.clock import SystemClock
from instrument_cache.feed_state import FeedState, read_feed_state
from tests.servers import wait_until


def test_what_is_written_is_read_with_the_time_of_writing(tmp_path: Path) -> None:
    before = SystemClock().now_us()
    write_state(FeedState(phase="live", heard_at=7), tmp_path / "feed.json")
    found = read_feed_state(tmp_path / "feed.json")
    assert found is not None
    assert (found.phase, found.heard_at) == ("live", 7)
    assert before <= found.updated_at <= SystemClock().now_us()


def test_it_is_told_again_and_again_also_while_nothing_changes(tmp_path: Path) -> None:
    path, stop = tmp_path / "feed.json", threading.Event()
    thread = threading.Thread(target=report, args=(FeedState(), path, stop))
    thread.start()
    wait_until(path.exists, 5, what="the file")
    first = read_feed_state(path)
    assert first is not None
    wait_until(lambda: read_feed_state(path) != first, 5, what="a newer time")
    stop.set()
    thread.join(5)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"phase":7}'])
def test_what_is_no_state_tells_nothing(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "feed.json").write_bytes(content)
    assert read_feed_state(tmp_path / "feed.json") is None


def test_a_state_of_an_older_or_newer_feed_is_read(tmp_path: Path) -> None:
    (tmp_path / "feed.json").write_bytes(b'{"phase":"live","something":"new"}')
    assert read_feed_state(tmp_path / "feed.json") == FeedState(phase="live")
