"""The dead letters of one dataset, with everything that is asked of them. The CLI and the DAGs use this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property

import redis

from instrument_cache.avro import AvroChangeDecoder
from instrument_cache.change import ChangeDecoder
from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract, load_contract
from instrument_cache.dead_letters import statistics
from instrument_cache.dead_letters.archive import Archive, Archived, all_letters, archive_letters
from instrument_cache.dead_letters.audit import Mark, ReplayAudit, State
from instrument_cache.dead_letters.letter import DeadLetter
from instrument_cache.dead_letters.letter_filter import LetterFilter, select
from instrument_cache.dead_letters.plan import Plan, Planner
from instrument_cache.dead_letters.reader import read_letters
from instrument_cache.dead_letters.replay import Progress, Replay, ReplayRequest
from instrument_cache.objects import ObjectStore
from instrument_cache.schema_registry import registry_of
from instrument_cache.settings import Environment, contract_path, environment, redis_url, s3_settings
from instrument_cache.store.redis import RedisStore
from instrument_cache.under_way import under_way


class Where(StrEnum):
    """Where letters are read from. Kafka alone still answers while S3 is away, the archive alone while Kafka is."""

    ALL = "all"
    KAFKA = "kafka"
    ARCHIVE = "archive"


class DeadLetters:
    """Connects on first use. Methods raise LogUnavailable, ObjectStoreUnavailable, StoreUnavailable."""

    def __init__(self, env: Environment | None = None) -> None:
        """Raises SettingsError, ContractError."""
        self._env = env or environment()
        self.contract: Contract = load_contract(contract_path(self._env))
        self.dataset = self.contract.dataset

    @property
    def env(self) -> Environment:
        """The settings that it was made with."""
        return self._env

    @property
    def bootstrap(self) -> str:
        return self._env.text("ICACHE_KAFKA_BOOTSTRAP")

    @cached_property
    def objects(self) -> ObjectStore:
        return ObjectStore(s3_settings(self._env))

    @cached_property
    def _client(self) -> redis.Redis:
        return redis_client(redis_url(self._env), name="dead-letters")

    @cached_property
    def store(self) -> RedisStore:
        return RedisStore(self._client, self.dataset)

    @cached_property
    def archive(self) -> Archive:
        return Archive(self.objects, self.dataset)

    @cached_property
    def audit(self) -> ReplayAudit:
        return ReplayAudit(self.objects, self.dataset)

    def letters(self, wanted: LetterFilter | None = None, where: Where = Where.ALL) -> Iterator[DeadLetter]:
        """The letters that match, each record once."""
        wanted = wanted or LetterFilter()
        return select(self._source(wanted, where), wanted, self.contract.key.name)

    def _source(self, wanted: LetterFilter, where: Where) -> Iterator[DeadLetter]:
        if where is Where.KAFKA:
            return read_letters(self.bootstrap, self.dataset)
        if where is Where.ARCHIVE:
            return self.archive.read(wanted)
        return all_letters(self.bootstrap, self.dataset, self.archive, wanted)

    def marks(self, where: Where = Where.ALL) -> dict[str, Mark]:
        """What replays have done to letters; nothing is known of it without S3."""
        return {} if where is Where.KAFKA else self.audit.marks()

    def statistics(self, wanted: LetterFilter | None = None, where: Where = Where.ALL) -> statistics.Statistics:
        marks = self.marks(where)
        return statistics.count((letter, state_of(letter, marks)) for letter in self.letters(wanted, where))

    def archive_now(self, progress: Callable[[Archived], None] = lambda _: None) -> Archived:
        """Archive what is not yet archived."""
        # All that are not archived yet: so each run does what the one before has left.
        with under_way(self._client, self.dataset, "dead_letter_archive", "archive", "archive"):
            return archive_letters(self.bootstrap, self.dataset, self.archive, progress)

    def plan(self, request: ReplayRequest, where: Where = Where.ALL) -> Plan:
        """What a replay would do now; nothing is written. Raises Unavailable if the schema registry does not answer."""
        decoder = ChangeDecoder(self.contract, avro=AvroChangeDecoder(self.contract, registry_of(self._env)))
        planner = Planner(self.contract, self.store, decoder, request.patch)
        letters = self.letters(request.wanted, where)
        return planner.plan(letters, self.audit.marks(), request.budget, request.again)

    def replay(self, request: ReplayRequest, plan: Plan, progress: Progress = lambda written, settled: None) -> Replay:
        """A replay of the plan, to be `run`."""
        return Replay(self.bootstrap, self.contract, self.store, self.audit, request, plan)


def state_of(letter: DeadLetter, marks: Mapping[str, Mark]) -> State:
    """What replays have done to a letter."""
    mark = marks.get(letter.identity)
    return mark.state if mark else State.OPEN
