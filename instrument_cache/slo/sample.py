"""One minute as it was measured, and the bounded series of them that Redis keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import redis
from redis.exceptions import RedisError, ResponseError

from instrument_cache.errors import StoreUnavailable

MINUTE_S: Final = 60
HOUR_S: Final = 3600
# 31 days of minutes, 400 days of hours: some ten megabytes.
MINUTES_MAX: Final = 31 * 1440
HOURS_MAX: Final = 400 * 24
_PAGE: Final = 5000
_BODY: Final = b"b"


class Sample(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The minute that began at `at_s` (seconds since 1970). None: it could not be told, or nothing was to be measured.

    `fresh`: the oldest canary was young enough. `available`: the lookup service was ready, and hardly a request failed.
    `quick`: 99 % of its requests were answered in time. `equal`: a young proof says that the cache equals its source.
    The other numbers are those that the verdicts rest on, and the sizes at that moment.
    """

    at_s: int
    fresh: bool | None = None
    available: bool | None = None
    quick: bool | None = None
    equal: bool | None = None
    canary_age_s: float | None = None
    requests: int = 0
    failed: int = 0
    p99_ms: float | None = None
    keys: int | None = None
    memory_bytes: int | None = None
    memory_bytes_max: int | None = None
    file_bytes: int | None = None


class SampleLog:
    """The series of one dataset: every minute of a month, and one minute of each hour of a year.

    Methods raise StoreUnavailable.
    """

    def __init__(self, client: redis.Redis, dataset: str) -> None:
        self._client: Any = client
        self._minutes, self._hours = f"samples:{dataset}:minutes", f"samples:{dataset}:hours"

    def add(self, sample: Sample) -> bool:
        """Keep a sample; False if that minute, or a later one, is there already: of two who measure, one counts."""
        try:
            is_new = self._append(self._minutes, sample.at_s // MINUTE_S * MINUTE_S, sample, MINUTES_MAX)
            if is_new and sample.memory_bytes is not None:
                self._append(self._hours, sample.at_s // HOUR_S * HOUR_S, sample, HOURS_MAX)
        except RedisError as error:
            raise StoreUnavailable(f"Redis did not take the sample of {sample.at_s}: {error}") from error
        return is_new

    def _append(self, key: str, moment_s: int, sample: Sample, count_max: int) -> bool:
        try:
            self._client.xadd(
                key, {_BODY: msgspec.json.encode(sample)}, id=f"{moment_s * 1000}-1", maxlen=count_max, approximate=True
            )
        except ResponseError as error:
            if "equal or smaller" in str(error):
                return False
            raise
        return True

    def minutes(self, since_s: float) -> list[Sample]:
        """The samples from then on, the oldest first."""
        return list(self._read(self._minutes, since_s))

    def hours(self, since_s: float) -> list[Sample]:
        """One sample of each hour from then on, the oldest first."""
        return list(self._read(self._hours, since_s))

    def _read(self, key: str, since_s: float) -> Iterator[Sample]:
        first = f"{max(int(since_s * 1000), 0)}"
        while True:
            try:
                page = self._client.xrange(key, first, "+", count=_PAGE)
            except RedisError as error:
                raise StoreUnavailable(f"Redis did not read the samples {key!r}: {error}") from error
            yield from filter(None, map(_sample, page))
            if len(page) < _PAGE:
                return
            first = f"({page[-1][0].decode()}"


def _sample(entry: tuple[bytes, dict[bytes, bytes]]) -> Sample | None:
    """None of what another version of this program wrote."""
    try:
        return msgspec.json.decode(entry[1].get(_BODY, b""), type=Sample)
    except msgspec.DecodeError:
        return None
