"""The look-up service of a dataset whose misses are asked of the source."""

from __future__ import annotations

from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract
from instrument_cache.errors import SourceUnavailable
from instrument_cache.store.redis import RedisStore
from lookup_app.entries import Instrument, instrument_of
from lookup_app.fallback.breaker import Breaker
from lookup_app.fallback.guarded import GuardedPut
from lookup_app.fallback.read_through import ReadThrough
from lookup_app.fallback.settings import FallbackSettings
from lookup_app.fallback.source import RowSource
from lookup_app.problems import Problem, ProblemType
from lookup_app.service import LookupService, Reader


class ReadThroughService(LookupService):
    """Asks the source for a single key that was never known. Batches and aliases read the cache alone.

    What is known as deleted stays deleted, and while answers are stale nothing is asked: it could not be guarded.
    """

    def __init__(self, reader: Reader, contract: Contract, read_through: ReadThrough) -> None:
        super().__init__(reader, contract)
        self._read_through = read_through

    def by_key(self, text: str) -> Instrument:
        try:
            return super().by_key(text)
        except Problem as miss:
            if miss.kind is not ProblemType.UNKNOWN_INSTRUMENT or miss.stale_s is not None:
                raise
        key = self.canonical(text)
        try:
            return instrument_of(key, self._read_through.read(key))
        except SourceUnavailable as error:
            detail = f"The cache does not know {key!r}, and the source that it asks for it does not answer."
            raise Problem(ProblemType.SOURCE_UNAVAILABLE, detail, {"value": key}) from error


def read_through_service(
    reader: Reader, contract: Contract, settings: FallbackSettings, redis_url: str, redis_timeout_s: float
) -> ReadThroughService:
    """A service on this Redis and this source. Connects on first use. Raises SettingsError."""
    client = redis_client(redis_url, name="lookup-fallback", timeout_s=redis_timeout_s)
    put = GuardedPut(contract, RedisStore(client, contract.dataset)).put
    rows = RowSource(settings, contract.dataset, contract.record_bytes_max)
    # A follower waits as long as the one who calls may take: for the source, and for the store twice.
    wait_s = 2 * settings.timeout_s + 2 * redis_timeout_s
    breaker = Breaker(settings.calls_max)
    return ReadThroughService(reader, contract, ReadThrough(rows, put, breaker, wait_s, settings.negative_s))
