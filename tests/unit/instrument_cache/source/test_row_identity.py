"""Under which key and version a row is kept."""

from __future__ import annotations

import hashlib

import pytest

from instrument_cache.source.row_identity import RowIdentity, RowReader

READER = RowReader("cusip", "last_updated")


@pytest.mark.parametrize(
    ("row", "identity"),
    [
        (b'{"cusip":"037833100"}', RowIdentity("037833100", None)),
        (b' {"cusip":"037833100" , "last_updated" : null } \r', RowIdentity("037833100", None)),
        (b'{"last_updated":1763674000123456,"cusip":"a","x":[1,{"y":"z"}]}', RowIdentity("a", 1763674000123456)),
        (b'{"cusip":"\\u00e9\xc3\xa9"}', RowIdentity("éé", None)),
        (b'{"cusip":"' + b"e" * 256 + b'"}', RowIdentity("e" * 256, None)),
    ],
)
def test_a_good_row_is_kept_under_its_key(row: bytes, identity: RowIdentity) -> None:
    assert READER.read(row) == identity


@pytest.mark.parametrize(
    "row",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"cusip":null}',
        b'{"cusip":37833100}',
        b'{"cusip":""}',
        b'{"cusip":"a"',
        b'{"cusip":"a"}x',
        b'\xef\xbb\xbf{"cusip":"a"}',
        b'{"cusip":"a","x":"\xff"}',
        b'{"cusip":"a","\xff":1}',
        b'{"cusip":"\\ud800"}',
        b'{"cusip":"\xed\xa0\x80"}',
        b'{"cusip":"a","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"cusip":"' + "é".encode() * 128 + b'x"}',
        b'{"cusip":"sha256:0"}',
        b'{"cusip":"a","last_updated":123456789012345}',
        b'{"cusip":"a","last_updated":12345678901234567}',
        b'{"cusip":"a","last_updated":-123456789012345}',
        b'{"cusip":"a","last_updated":0123456789012345}',
        b'{"cusip":"a","last_updated":1234567890123.45}',
        b'{"cusip":"a","last_updated":12345678901234e1}',
        b'{"cusip":"a","last_updated":"1763674000123456"}',
        b'{"cusip":"a","last_updated":true}',
        b'{"cusip":"a","last_updated":[]}',
    ],
)
def test_every_other_row_is_kept_under_its_content(row: bytes) -> None:
    assert READER.read(row) == RowIdentity(f"sha256:{hashlib.sha256(row).hexdigest()}", None)


def test_the_fields_are_those_of_the_topic() -> None:
    assert RowReader("id", "v").read(b'{"id":"a","v":1763674000123456,"cusip":"b"}') == ("a", 1763674000123456)
