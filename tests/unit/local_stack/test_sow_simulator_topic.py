"""The step between joining and the snapshot's begin."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

from local_stack.sow_simulator.store import SowStore
from local_stack.sow_simulator.subscribers import Subscribers
from local_stack.sow_simulator.topic import Topic


def test_what_is_published_between_joining_and_begin_comes_once(tmp_path: Path) -> None:
    async def scenario() -> bytes:
        topic = Topic(SowStore(tmp_path / "t.sqlite3", "t", "cusip", "last_updated"), Subscribers(10_000_000))
        with topic.subscribers.joined() as subscriber:
            topic.publish([b'{"cusip":"early"}'])
            async with aclosing(topic.live(subscriber)) as frames:
                pieces = [await anext(frames)]
                topic.publish([b'{"cusip":"late"}'])
                pieces += [await anext(frames) for _ in range(3)]
        topic.store.close()
        return b"".join(pieces)

    frames = asyncio.run(scenario())
    assert frames.startswith(b'{"type":"begin","topic":"t","position":1,')
    assert frames.count(b'"cusip":"early"') == 1
    assert frames.count(b'"position":2,') == 2  # a change while the snapshot is read: in it, and again after its end
