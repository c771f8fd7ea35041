"""Bodies of rows: cut anywhere, plain or gzip, and those that are refused."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from local_stack.sow_simulator.body import BATCH_ROWS_MAX, batches
from local_stack.sow_simulator.problems import Problem

ROW_BYTES_MAX = 16 * 1024 * 1024


def read(pieces: list[bytes], encoding: str | None = None) -> list[list[bytes]]:
    """The batches of a request whose body comes in these pieces."""
    left = iter([*pieces, b""])

    async def receive() -> dict[str, object]:
        piece = next(left)
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def collect(found: AsyncIterator[list[bytes]]) -> list[list[bytes]]:
        return [batch async for batch in found]

    headers = [(b"content-encoding", encoding.encode())] if encoding else []
    return asyncio.run(collect(batches(Request({"type": "http", "headers": headers}, receive))))


def cut(body: bytes, piece_bytes: int) -> list[bytes]:
    return [body[at : at + piece_bytes] for at in range(0, len(body), piece_bytes)]


def rows_of(found: list[list[bytes]]) -> list[bytes]:
    return [row for batch in found for row in batch]


@given(
    st.lists(st.sampled_from([b"\n", b"\r", b"\xff", b"{}", b"abc"])).map(b"".join), st.integers(1, 9), st.booleans()
)
def test_rows_are_the_lines_that_are_not_empty(body: bytes, piece_bytes: int, zipped: bool) -> None:
    expected = [line for line in body.split(b"\n") if line]
    sent = gzip.compress(body) if zipped else body
    assert rows_of(read(cut(sent, piece_bytes), "gzip" if zipped else None)) == expected


def test_batches_are_bounded_by_rows_and_bytes() -> None:
    found = read(cut(b"x\n" * (2 * BATCH_ROWS_MAX + 1), 65_536))
    assert [len(batch) for batch in found] == [BATCH_ROWS_MAX, BATCH_ROWS_MAX, 1]
    found = read(cut((b"x" * 9_999 + b"\n") * 1_000, 65_536))
    assert len(rows_of(found)) == 1_000
    assert max(sum(map(len, batch)) for batch in found) < 5 * 1024 * 1024


def test_gzip_may_have_several_members_and_inflate_far() -> None:
    body = gzip.compress(b"a\nb") + gzip.compress(b"c\n" + b"x" * 10_000_000)
    assert rows_of(read(cut(body, 1000), " GZIP ")) == [b"a", b"bc", b"x" * 10_000_000]
    assert read([], "gzip") == []


@pytest.mark.parametrize("pieces", [[b"plain\n"], [gzip.compress(b"a\n" * 50)[:-3]], [gzip.compress(b"a\n"), b"junk"]])
def test_a_body_that_is_not_gzip_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(Problem, match="it must be gzip") as refused:
        read(pieces, "gzip")
    assert refused.value.status == 400


def test_another_encoding_is_refused() -> None:
    with pytest.raises(Problem, match="must be gzip or absent") as refused:
        read([b"a"], "zstd")
    assert refused.value.status == 415


def test_a_row_may_have_16_mib_and_not_a_byte_more() -> None:
    largest = b"x" * ROW_BYTES_MAX
    assert rows_of(read(cut(b"a\n" + largest + b"\nb", 1 << 18))) == [b"a", largest, b"b"]
    for body in (largest + b"x", largest + b"x\nb", b"a\nb\n" + largest + b"x"):
        with pytest.raises(Problem, match="at most 16777216") as refused:
            read(cut(body, 1 << 18))
        assert refused.value.status == 413
