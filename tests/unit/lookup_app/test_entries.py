"""What identifies the bytes of an answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lookup_app.entries import Instrument, instrument_of

STORED = b'{"v":1763674000123456,"cusip":"037833100","name":"Apple"}'


def test_the_bytes_pass_unchanged() -> None:
    assert instrument_of("037833100", STORED).body is STORED


def test_the_etag_is_of_the_version_and_the_bytes() -> None:
    assert Instrument(1763674000123456, STORED).etag == "1763674000123456-632a3e2b"


@given(at=st.integers(22, len(STORED) - 1), byte=st.integers(32, 126))
def test_another_byte_is_another_etag(at: int, byte: int) -> None:
    other = STORED[:at] + bytes([byte]) + STORED[at + 1 :]
    same = Instrument(1, other).etag == Instrument(1, STORED).etag
    assert same == (other == STORED)
