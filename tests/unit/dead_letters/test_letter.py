"""A message of the dead-letter topic → a letter, whatever the message lacks."""

from __future__ import annotations

import pytest

from instrument_cache.dead_letters.letter import FOREIGN, UNKNOWN_CODE, key_text, letter_of
from tests.unit.dead_letters.letters import APPLE, NOW_US, Message, letter, put

HEADERS: list[tuple[str, bytes | None]] = [
    ("reason", b"invalid_cusip: wrong"),
    ("topic", b"instruments"),
    ("partition", b"3"),
    ("offset", b"17"),
]


def test_all_that_the_job_writes_is_read() -> None:
    found = letter_of(Message([*HEADERS, ("code", b"invalid_cusip"), ("key", b"k")], b"instruments-3-17", b"v"))
    assert (found.position, found.code, found.reason) == ("instruments-3-17", "invalid_cusip", "invalid_cusip: wrong")
    assert (found.letter_partition, found.letter_offset, found.time_us) == (2, 9, NOW_US)
    assert (found.key, found.value) == (b"k", b"v")


def test_without_the_newer_headers_the_code_begins_the_reason() -> None:
    found = letter_of(Message(HEADERS, b"instruments-3-17", b"v"))
    assert (found.code, found.key) == ("invalid_cusip", None)


def test_without_a_place_in_the_headers_the_key_says_it() -> None:
    assert letter_of(Message(HEADERS[:1], b"my-topic-3-17", b"v")).position == "my-topic-3-17"


def test_a_reason_without_a_code_has_the_code_unknown() -> None:
    assert letter_of(Message([("reason", b"No: idea"), *HEADERS[1:]], None, b"v")).code == UNKNOWN_CODE


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        (None, None),
        ([], b"instruments-3-17"),
        ([("reason", None)], b"instruments-3-17"),
        ([("reason", b"x: y")], b"anything"),
        ([("reason", b"x: y"), ("topic", b"\xff"), ("partition", b"-1"), ("offset", b"")], b"\xff\xfe"),
    ],
)
def test_what_no_job_wrote_is_foreign_and_stands_where_it_lies(
    headers: list[tuple[str, bytes | None]] | None, key: bytes | None
) -> None:
    found = letter_of(Message(headers, key, None))
    assert (found.code, found.is_foreign, found.value) == (FOREIGN, True, b"")
    assert found.position == "instruments.dead-letter-2-9"


def test_a_record_keeps_its_identity_and_another_at_its_place_has_another() -> None:
    assert letter(1, b"a").identity == letter(1, b"a", letter_offset=77, code="other").identity
    assert letter(1, b"a").identity != letter(1, b"b").identity
    assert letter(1, b"a").identity != letter(2, b"a").identity


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        (put(APPLE), None, APPLE),
        (put(APPLE), b"kafka", "kafka"),
        (b"{broken", None, None),
        (b"[1]", None, None),
        (b'{"record":{"cusip":5}}', None, None),
        (b'{"record":"x"}', None, None),
        (b"\x00\x00\x00\x00\x01avro", None, None),
        (b"[" * 100_000, None, None),
        (b"x", b"\xff", "�"),
    ],
)
def test_the_key_is_kafkas_or_else_the_records(value: bytes, key: bytes | None, expected: str | None) -> None:
    assert key_text(letter(0, value, key=key), "cusip") == expected


@pytest.mark.parametrize("time_us", [-1, 0, 10**19])
def test_any_time_can_be_shown(time_us: int) -> None:
    assert letter(time_us=time_us).time.year in (1970, 9999)
