"""The log file: what the shim's writer writes, the reader gives back byte for byte."""

import asyncio
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_stack.pod_runner.log_writer import PIECE_BYTES_MAX, LogWriter, rfc3339_nano
from local_stack.pod_runner.logs import LogQuery, read_log

SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND


def write(path: Path, *chunks: bytes, bytes_max: int = 10_000_000) -> Path:
    """Write chunks, one second apart."""
    clock = itertools.count(START_NS, SECOND)
    writer = LogWriter(path, bytes_max, lambda: next(clock))
    for chunk in chunks:
        writer.feed(chunk)
    writer.close()
    return path


def read(path: Path, query: LogQuery | None = None) -> bytes:
    async def collect() -> bytes:
        return b"".join([chunk async for chunk in read_log(path, query or LogQuery(), lambda: True)])

    return asyncio.run(collect())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@settings(max_examples=60)
@given(chunks=st.lists(st.one_of(st.binary(max_size=50), st.sampled_from([b"\n", b"x" * 40_000, b"a\nb"]))))
def test_output_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    log = tmp_path_factory.mktemp("logs") / "log"
    assert read(write(log, *chunks)) == b"".join(chunks)


def test_time_stamps_have_nine_digits_and_a_fixed_width() -> None:
    assert rfc3339_nano(START_NS + 5) == b"2023-11-14T22:13:20.000000005Z"


def test_timestamps_stand_before_each_line_also_of_long_ones(log: Path) -> None:
    long = b"x" * (PIECE_BYTES_MAX + 1)
    write(log, b"one\n\n", long, b"tail\n", b"partial \xff")
    stamps = [rfc3339_nano(START_NS + second * SECOND) for second in range(4)]
    # A long line has the time of its first piece.
    expected = [stamps[0] + b" one", stamps[0] + b" ", stamps[1] + b" " + long + b"tail", stamps[3] + b" partial \xff"]
    assert read(log, LogQuery(timestamps=True)) == b"\n".join(expected)


def test_since_leaves_out_older_lines(log: Path) -> None:
    write(log, b"a\n", b"b\n", b"c\n")
    assert read(log, LogQuery(since_ns=START_NS + SECOND)) == b"b\nc\n"


@pytest.mark.parametrize(("lines", "text"), [(0, b""), (1, b"c"), (2, b"b\nc"), (9, b"a\nb\nc")])
def test_tail(log: Path, lines: int, text: bytes) -> None:
    write(log, b"a\nb\nc")
    assert read(log, LogQuery(tail_lines=lines)) == text


def test_tail_counts_a_line_in_pieces_once(log: Path) -> None:
    long = b"y" * (3 * PIECE_BYTES_MAX)
    write(log, b"first\n", long[:20_000], long[20_000:] + b"\n")
    assert read(log, LogQuery(tail_lines=1)) == long + b"\n"


def test_limit_in_bytes(log: Path) -> None:
    write(log, b"abcdef\nghi\n")
    assert read(log, LogQuery(limit_bytes=9)) == b"abcdef\ngh"


def test_log_ends_at_its_limit_and_says_so(log: Path) -> None:
    write(log, *([b"0123456789\n"] * 100), bytes_max=1000)
    text = read(log)
    assert text.endswith(b"log limit of 1000 bytes reached, the rest is lost\n")
    assert text.count(b"limit") == 1
    assert log.stat().st_size < 1200


def test_log_of_a_pod_that_never_started_is_empty(log: Path) -> None:
    assert read(log, LogQuery(follow=True, tail_lines=3)) == b""


def test_damaged_entries_are_left_out(log: Path) -> None:
    write(log, b"good\n")
    log.write_bytes(log.read_bytes() + b"half an\nentry")
    assert read(log) == b"good\n"


def test_follow_gives_what_comes_until_the_pod_is_finished(log: Path) -> None:
    async def scenario() -> list[bytes]:
        over = asyncio.Event()
        writer = LogWriter(log, 10_000)
        writer.feed(b"first\n")
        chunks = []
        async for chunk in read_log(log, LogQuery(follow=True), over.is_set):
            chunks.append(chunk)
            if chunk == b"first\n":
                writer.feed(b"second\nlast")
            elif not over.is_set():
                writer.close()
                over.set()
        return chunks

    assert b"".join(asyncio.run(scenario())) == b"first\nsecond\nlast"
