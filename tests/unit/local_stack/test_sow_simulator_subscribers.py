"""Queues of live subscribers: order, bounds, ends."""

from __future__ import annotations

import asyncio

from local_stack.sow_simulator.subscribers import Subscriber, Subscribers


def test_pieces_come_in_order_and_small_ones_together() -> None:
    async def scenario() -> None:
        subscriber = Subscriber(10_000_000)
        for piece in (b"a", b"b", b"x" * 300_000, b"c"):
            subscriber.offer(piece)
        assert await subscriber.next(1) == b"ab" + b"x" * 300_000
        assert await subscriber.next(1) == b"c"
        assert await subscriber.next(0.01) == b""

    asyncio.run(scenario())


def test_a_waiting_reader_is_woken() -> None:
    async def scenario() -> None:
        subscriber = Subscriber(100)
        asyncio.get_running_loop().call_later(0.01, subscriber.offer, b"a")
        assert await subscriber.next(30) == b"a"
        asyncio.get_running_loop().call_later(0.01, subscriber.close)
        assert await subscriber.next(30) == b""
        assert subscriber.closed

    asyncio.run(scenario())


def test_a_reader_too_far_behind_is_cut_off_and_the_others_are_not() -> None:
    async def scenario() -> None:
        subscribers = Subscribers(100)
        with subscribers.joined() as slow, subscribers.joined() as quick:
            for _ in range(3):
                subscribers.offer(b"x" * 40)
                assert await quick.next(1) == b"x" * 40
            assert slow.cut.is_set()
            assert not quick.cut.is_set()
            assert len(subscribers) == 2
        assert len(subscribers) == 0

    asyncio.run(scenario())


def test_what_was_read_does_not_count_as_behind() -> None:
    async def scenario() -> None:
        subscriber = Subscriber(100)
        for _ in range(10):
            subscriber.offer(b"x" * 60)
            await subscriber.next(1)
        assert not subscriber.cut.is_set()

    asyncio.run(scenario())


def test_who_joins_after_the_end_ends_at_once() -> None:
    subscribers = Subscribers(100)
    subscribers.close()
    with subscribers.joined() as late:
        assert late.closed
