"""The change stream of one dataset, put together. HTTP and gRPC listen to the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final, TypeVar

from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract, load_contract
from instrument_cache.errors import IdentifierError
from instrument_cache.history import History, ReadsHistory, read_history
from instrument_cache.identifiers import canonical_for
from instrument_cache.store.redis import RedisStore
from lookup_app.changes.catch_up import CatchUp
from lookup_app.changes.client import Client
from lookup_app.changes.cursor import Cursor, CursorError, parse_cursor
from lookup_app.changes.events import Changes, Kind
from lookup_app.changes.feed import Feed
from lookup_app.changes.hub import Hub
from lookup_app.changes.log import KafkaLog, TopicWatch
from lookup_app.changes.maker import AppliedStore, EventMaker
from lookup_app.changes.metrics import ChangesMetrics
from lookup_app.changes.settings import ChangesSettings
from lookup_app.problems import VALUE_CHARACTERS_MAX, Problem, ProblemType, problem_of

IDS_MAX: Final = 1000
# A whole answer of Redis, not a step of it: nobody waits at the other end.
_REDIS_TIMEOUT_S: Final = 2.0
_BEGIN_S_MAX: Final = 5.0
T = TypeVar("T")


class ChangeStream:
    """Listeners come by `join`, and go by `leave`. All methods are for the event loop."""

    def __init__(
        self,
        contract: Contract,
        store: AppliedStore,
        bootstrap: str,
        metrics: ChangesMetrics,
        read_history: ReadsHistory,
    ) -> None:
        self._canonical = canonical_for(contract.key)
        counts = metrics.of(contract.dataset)
        log = KafkaLog(bootstrap, contract.dataset)
        maker = EventMaker(store, contract)
        self._watch = TopicWatch(bootstrap, contract.dataset)
        self._hub = Hub(counts)
        self._catch_up = CatchUp(self._hub, log, maker, counts)
        self._loop = asyncio.get_running_loop()
        self._feed = Feed(log, self._watch, store, maker, _OnLoop(self._hub, self._loop), read_history)
        self._coming = 0
        counts.clients(lambda: len(self._hub.clients))
        counts.held(lambda: len(self._feed.held))
        counts.log_up(lambda: self._watch.is_up)
        counts.store_up(lambda: self._feed.store_is_up)

    @property
    def missing(self) -> list[str]:
        """What it lacks to tell changes now: `kafka`, `redis`."""
        parts = {"kafka": self._watch.is_up, "redis": self._feed.store_is_up}
        return [name for name, is_up in parts.items() if not is_up]

    @property
    def listeners(self) -> int:
        return len(self._hub.clients)

    def start(self) -> None:
        self._watch.start()
        self._feed.start()

    async def stop(self) -> None:
        """End every listener in good order, then the threads."""
        self._hub.close()
        await self._catch_up.stop()
        await asyncio.to_thread(self._feed.stop)
        await asyncio.to_thread(self._watch.stop)

    async def begun(self) -> None:
        """Wait until it is known where "now" is. Raises Problem if Kafka or Redis is away."""
        self._coming += 1
        try:
            async with asyncio.timeout(_BEGIN_S_MAX):
                self._feed.want(True)
                while self._hub.cursor is None:
                    await self._hub.has_begun.wait()
        except TimeoutError:
            raise self._cannot_begin() from None
        finally:
            self._coming -= 1
            self._loop.call_soon(self._rest_if_alone)

    def _cannot_begin(self) -> Problem:
        missing = self.missing or ["feed"]
        detail = f"The stream cannot begin: {' and '.join(missing)} must answer first."
        return Problem(ProblemType.NOT_READY, detail, {"missing": missing})

    def keys(self, given: Sequence[str]) -> frozenset[str]:
        """The keys that a listener asks for, as people type them. Raises Problem, which names the first bad one."""
        if not 1 <= len(given) <= IDS_MAX:
            detail = f"{len(given)} ids were given; there may be 1 to {IDS_MAX}. Without ids you get all changes."
            raise Problem(ProblemType.INVALID_BATCH_SIZE, detail, {"count": len(given), "limit": IDS_MAX})
        try:
            return frozenset(self._canonical(text) for text in given)
        except IdentifierError as error:
            raise problem_of(error) from None

    def join(self, client: Client, last: Cursor | None) -> None:
        """Tell `client` all from `last` on; None: from now on. Call it right after `begun`, without waiting between."""
        self._hub.clients.add(client)
        if last is None:
            self._catch_up.begin(client, Kind.HELLO)
        else:
            self._catch_up.resume(client, last)

    def leave(self, client: Client) -> None:
        self._hub.leave(client)
        self._rest_if_alone()

    def heartbeat(self) -> None:
        self._hub.heartbeat()

    def _rest_if_alone(self) -> None:
        if not self._hub.clients and not self._coming:
            self._feed.want(False)


class _OnLoop:
    """Implements `Audience` for the feed's thread on the hub, which lives in the event loop."""

    def __init__(self, hub: Hub, loop: asyncio.AbstractEventLoop) -> None:
        self._hub, self._loop = hub, loop

    def begin(self, cursor: Cursor, history: History) -> None:
        self._call(lambda: self._hub.begin(cursor, history))

    def publish(self, changes: Changes) -> None:
        self._call(lambda: self._hub.publish(changes))

    def note(self, history: History) -> None:
        self._call(lambda: self._hub.note(history))

    def end(self) -> bool:
        return self._call(self._hub.end)

    def _call(self, what: Callable[[], T]) -> T:
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(what())
            except BaseException as error:
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result()


def check_room(streams: Iterable[ChangeStream], clients_max: int, is_draining: bool) -> None:
    """Raises Problem `busy` if this process takes no more listeners."""
    if is_draining or sum(stream.listeners for stream in streams) >= clients_max:
        detail = f"This process has its {clients_max} listeners, or is about to end; try again, or another instance."
        raise Problem(ProblemType.BUSY, detail, {"limit": clients_max})


def resume_from(name: str, text: str) -> Cursor | None:
    """Where a listener goes on; None: from now. `name` is how it said so. Raises Problem for what is no cursor."""
    try:
        return parse_cursor(text) if text else None
    except CursorError as error:
        extra = {"value": text[:VALUE_CHARACTERS_MAX]}
        raise Problem(ProblemType.BAD_REQUEST, f"{name}: {error}.", extra) from None


def make_streams(settings: ChangesSettings, metrics: ChangesMetrics) -> dict[str, ChangeStream]:
    """Dataset → its stream; nothing is connected yet. Raises SettingsError or ContractError."""
    client = redis_client(settings.redis_url, name="changes", timeout_s=_REDIS_TIMEOUT_S)
    contracts = [load_contract(path) for path in settings.contract_paths]
    return {
        contract.dataset: ChangeStream(
            contract,
            RedisStore(client, contract.dataset),
            settings.kafka_bootstrap,
            metrics,
            partial(read_history, client, contract.dataset),
        )
        for contract in contracts
    }
