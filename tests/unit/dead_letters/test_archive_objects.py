"""Names and bodies of the archive's objects."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument_cache.dead_letters import archive_objects
from instrument_cache.dead_letters.archive_objects import ArchiveObject, chunks, object_of, pack, parse_key, unpack
from instrument_cache.errors import DeadLetterError
from tests.unit.dead_letters.letters import HOUR_US, NOW_US, letter

TOPIC = "0123456789abcdef" * 2
KEY = f"dead-letters/instruments/2025-11-20/21/{TOPIC}-0003-000000000000000017.ndjson.gz"


def test_the_name_follows_from_the_first_letter() -> None:
    first = letter(5, letter_partition=3, letter_offset=17)
    place = object_of([first, letter(9)], TOPIC)
    assert place.key("instruments") == KEY
    assert parse_key(KEY, "instruments") == place == ArchiveObject("2025-11-20T21", TOPIC, 3, 17)


def test_names_sort_by_hour_then_offset() -> None:
    places = [ArchiveObject("2025-11-20T21", TOPIC, 3, start) for start in (9, 10, 100)]
    assert sorted(place.key("d") for place in places) == [place.key("d") for place in places]


@pytest.mark.parametrize(
    "key",
    [
        "dead-letters/instruments/",
        KEY + ".new",
        KEY.replace("2025", "20x5"),
        KEY.replace(TOPIC, "abc"),
        "checkpoints/1",
    ],
)
def test_what_the_archive_did_not_write_is_no_object_of_it(key: str) -> None:
    assert parse_key(key, "instruments") is None


def test_another_dataset_is_another_archive() -> None:
    assert parse_key(KEY.replace("instruments", "issuers"), "instruments") is None
    assert parse_key(KEY.replace("instruments", "issuers"), "issuers") is not None


def test_an_object_knows_its_hour() -> None:
    first_us, last_us = ArchiveObject("2025-11-20T21", TOPIC, 0, 0).span_us
    assert first_us <= NOW_US <= last_us
    assert last_us - first_us == HOUR_US - 1


@given(st.lists(st.tuples(st.binary(), st.none() | st.binary(), st.text()), min_size=1))
def test_letters_come_back_as_they_were(parts: list[tuple[bytes, bytes | None, str]]) -> None:
    letters = [letter(at, value, key=key, reason=reason) for at, (value, key, reason) in enumerate(parts)]
    body = pack(letters)
    assert list(unpack(body, KEY)) == letters
    assert pack(letters) == body


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b"x" + b, lambda b: gzip.compress(b"{}\n"), lambda b: b""]
)
def test_a_damaged_object_is_named(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(DeadLetterError, match=r"ndjson\.gz' is damaged"):
        list(unpack(damage(pack([letter()])), KEY))


def test_an_object_holds_one_hour_and_not_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_objects, "OBJECT_LETTERS_MAX", 3)
    monkeypatch.setattr(archive_objects, "OBJECT_BYTES_MAX", 10)
    letters = [
        *(letter(at, b"1") for at in range(4)),
        letter(4, b"1", time_us=NOW_US + HOUR_US),
        letter(5, b"123456", time_us=NOW_US + HOUR_US),
        letter(6, b"1234567890123", time_us=NOW_US + HOUR_US),
        letter(7, b"1", time_us=NOW_US),
    ]
    assert [[found.offset for found in chunk] for chunk in chunks(iter(letters))] == [[0, 1, 2], [3], [4, 5], [6], [7]]
    assert list(chunks(iter([]))) == []
