"""Replies and pushes are the same however the bytes come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument_cache.errors import StoreUnavailable
from lookup_app.cache.protocol import ErrorReply, Push, Replies, command

STREAM = (
    b"*3\r\n$6\r\nmaster\r\n:3129659\r\n*0\r\n"
    b">2\r\n$10\r\ninvalidate\r\n*2\r\n$15\r\ninstr:037833100\r\n$9\r\npme:a\r\n>b\r\n"
    b"%2\r\n$5\r\nproto\r\n:3\r\n+role\r\n_\r\n"
    b">2\r\n$10\r\ninvalidate\r\n_\r\n"
    b"-NOPERM no\r\n$-1\r\n+OK\r\n,1.5\r\n#t\r\n"
    b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\n\xff\xc3\xa4\r\n"
    b">3\r\n$7\r\nmessage\r\n+a\r\n*1\r\n$1\r\nb\r\n"
)
MEANING = [
    [b"master", 3129659, []],
    Push("invalidate", ["instr:037833100", "pme:a\r\n>b"]),
    [b"proto", 3, b"role", None],
    Push("invalidate", None),
    ErrorReply("NOPERM no"),
    None,
    b"OK",
    b"1.5",
    b"t",
    Push("invalidate", ["\udcff\u00e4"]),
    Push("message", None),
]


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_it_does_not_matter_where_the_bytes_are_cut(cuts: list[int]) -> None:
    replies, found = Replies(), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(STREAM)], strict=True):
        found += replies.feed(STREAM[begin:end])
    assert found == MEANING


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n", b"\r\n", b"x\r\n"])
def test_what_is_not_redis_is_said_so(garbage: bytes) -> None:
    with pytest.raises(StoreUnavailable, match="not RESP"):
        Replies().feed(garbage)


def test_a_command_in_bytes() -> None:
    assert command("MGET", "ä") == b"*2\r\n$4\r\nMGET\r\n$2\r\n\xc3\xa4\r\n"
