"""Writes the byte stream of frames: one JSON header line, `length` bytes of payload, one line break."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from local_stack.sow_simulator.store import Message

HEARTBEAT: Final = b'{"type":"heartbeat","length":0}\n\n'
_quote = msgspec.json.Encoder().encode


def begin(topic: str, position: int, rows: int) -> bytes:
    """The frame before a snapshot's rows."""
    return b'{"type":"begin","topic":%b,"position":%d,"rows":%d,"length":0}\n\n' % (_quote(topic), position, rows)


def end(rows: int) -> bytes:
    """The frame after a snapshot's rows, with how many there were."""
    return b'{"type":"end","rows":%d,"length":0}\n\n' % rows


def messages(batch: Iterable[Message]) -> bytes:
    """The frames of messages, puts and deletes alike."""
    return b"".join([_put(m, m.payload) if m.payload is not None else _delete(m) for m in batch])


def _put(message: Message, payload: bytes) -> bytes:
    return b'{"type":"put","key":%b,"timestamp":%d,"position":%d,"length":%d}\n%b\n' % (
        _quote(message.key),
        message.timestamp,
        message.position,
        len(payload),
        payload,
    )


def _delete(message: Message) -> bytes:
    return b'{"type":"delete","key":%b,"version":%d,"timestamp":%d,"position":%d,"length":0}\n\n' % (
        _quote(message.key),
        message.version,
        message.timestamp,
        message.position,
    )
