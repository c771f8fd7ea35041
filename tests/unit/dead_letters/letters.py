"""Letters for the tests, as the job would have written them."""

from __future__ import annotations

import json
from typing import Any

from instrument_cache.clock import FakeClock
from instrument_cache.dead_letters.letter import DeadLetter

APPLE, MICROSOFT = "037833100", "594918104"
NOW_US = FakeClock().now_us()
V = NOW_US - 1_000_000
HOUR_US = 3_600_000_000


def put(cusip: str, version: int = V, **fields: object) -> bytes:
    return json.dumps({"op": "put", "version": version, "record": {"cusip": cusip, **fields}}).encode()


def delete(cusip: str, version: int = V, deleted_at: int = V) -> bytes:
    record = {"op": "delete", "version": version, "source": {"timestamp": deleted_at}, "record": {"cusip": cusip}}
    return json.dumps(record).encode()


def letter(offset: int = 0, value: bytes = b"{broken", **fields: Any) -> DeadLetter:
    """A letter of `instruments-0-{offset}`; any field can be given."""
    given = {
        "topic": "instruments",
        "partition": 0,
        "offset": offset,
        "letter_partition": 0,
        "letter_offset": offset,
        "time_us": NOW_US,
        "code": "malformed_json",
        "reason": "malformed_json: no",
        "key": None,
        "value": value,
    }
    return DeadLetter(**(given | fields))


class Message:
    """A Kafka message as the client gives it."""

    def __init__(self, headers: list[tuple[str, bytes | None]] | None, key: bytes | None, value: bytes | None) -> None:
        self._headers, self._key, self._value = headers, key, value

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        return self._headers

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def topic(self) -> str:
        return "instruments.dead-letter"

    def partition(self) -> int:
        return 2

    def offset(self) -> int:
        return 9

    def timestamp(self) -> tuple[int, int]:
        return (1, NOW_US // 1000)
