"""The byte stream of frames, cut at any place, and bytes that are not frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.sources.frames import FrameParser
from instrument_cache.errors import SourceUnavailable
from instrument_cache.source.interface import Delete, Heartbeat, Put, SnapshotBegin, SnapshotEnd, SourceEvent
from local_stack.sow_simulator import frames
from local_stack.sow_simulator.store import Message

KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
NUMBERS = st.integers(1, 2**53)
MESSAGES = st.builds(Message, KEYS, NUMBERS, NUMBERS, NUMBERS, st.none() | st.binary(max_size=200))


def event_of(message: Message) -> SourceEvent:
    key, version, timestamp, position, payload = message
    return Delete(key, version, timestamp, position) if payload is None else Put(key, payload, timestamp, position)


@given(st.lists(MESSAGES, max_size=10), st.integers(1, 300))
def test_frames_are_read_as_written_wherever_the_pieces_are_cut(messages: list[Message], piece_bytes: int) -> None:
    stream = frames.begin("t", 7, 3) + frames.messages(messages) + frames.end(3) + frames.HEARTBEAT
    parser = FrameParser()
    pieces = [stream[at : at + piece_bytes] for at in range(0, len(stream), piece_bytes)]
    events = [event for piece in pieces for event in parser.feed(piece)]
    assert events == [SnapshotBegin("t", 7, 3), *map(event_of, messages), SnapshotEnd(3), Heartbeat()]


def test_a_large_payload_in_many_pieces_is_joined() -> None:
    payload = bytes(range(256)) * 4096 * 16
    stream = frames.messages([Message("a", 1, 2, 3, payload), Message("b", 4, 5, 6, None)])
    parser = FrameParser()
    events = [event for at in range(0, len(stream), 65_536) for event in parser.feed(stream[at : at + 65_536])]
    assert events == [Put("a", payload, 2, 3), Delete("b", 4, 5, 6)]


def test_fields_that_are_not_known_yet_are_passed_over() -> None:
    assert FrameParser().feed(b'{"type":"heartbeat","length":2,"new":[1]}\nxx\n') == [Heartbeat()]


@pytest.mark.parametrize(
    ("stream", "rule"),
    [
        (b"<html>\n", "malformed"),
        (b'{"type":"put","key":5}\n\n', "Expected `str`"),
        (b'{"type":"put","key":"\xff"}\n\n', "utf-8"),
        (b'{"type":"put","length":-1}\n\n', "outside 0 to"),
        (b'{"type":"put","length":16777217}\n\n', "outside 0 to"),
        (b'{"type":"put","length":2}\nabc\n', "no line break after the 2 bytes"),
        (b'{"type":"oof","length":0}\n\n', "the type must be"),
        (b"x" * 5000, "no line break within"),
    ],
)
def test_bytes_that_are_not_frames_name_the_rule(stream: bytes, rule: str) -> None:
    with pytest.raises(SourceUnavailable, match=rule):
        FrameParser().feed(stream)
