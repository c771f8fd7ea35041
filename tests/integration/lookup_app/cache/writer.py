"""Writes versions as fast as it can, and notes when: `python -m … REDIS_URL FILE`, until standard input ends.

FILE gets one line per write that was confirmed: key number, version, when it was sent and when confirmed (seconds of
the machine's monotonic clock, which all processes share).
"""

from __future__ import annotations

import random
import sys
import threading
import time
from pathlib import Path

from instrument_cache.connections import redis_client
from instrument_cache.errors import StoreUnavailable
from instrument_cache.store.redis import RedisStore

KEYS = 300
_BATCH = 20
_FORGOTTEN_IN_MS = 3_600_000
_TIMEOUT_S = 1.0


def key_of(number: int) -> str:
    """A CUSIP; its check digit is worked out here."""
    digits = f"{number:08d}"
    total = sum(sum(divmod(int(digit) * (1 + at % 2), 10)) for at, digit in enumerate(digits))
    return f"{digits}{-total % 10}"


def main(url: str, file: Path) -> None:
    store = RedisStore(redis_client(url, name="writer", timeout_s=_TIMEOUT_S), "instruments")
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    dice, version = random.Random(7), 0
    with file.open("w", encoding="ascii") as notes:
        while not ended.is_set():
            version = max(version + 1, time.time_ns() // 1000)
            numbers = dice.sample(range(KEYS), _BATCH)
            values = {f"instr:{key_of(number)}": _value(number, version, dice.random()) for number in numbers}
            sent_s = time.monotonic()
            try:
                store.offer(values, {key: _expires_at_ms(value) for key, value in values.items()})
            except StoreUnavailable:
                continue
            confirmed_s = time.monotonic()
            notes.writelines(f"{number} {version} {sent_s!r} {confirmed_s!r}\n" for number in numbers)


def _value(number: int, version: int, chance: float) -> bytes:
    if chance < 0.05:
        return b'{"v":%d,"~deleted_at":%d}' % (version, version)
    return b'{"v":%d,"cusip":"%b"}' % (version, key_of(number).encode())


def _expires_at_ms(value: bytes) -> int:
    return time.time_ns() // 1_000_000 + _FORGOTTEN_IN_MS if b"~" in value else 0


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
