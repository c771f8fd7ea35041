"""The calls. Each asks the gate, then the same objects as REST; what they raise becomes a status."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias, TypeVar

import structlog

from lookup_app.changes.client import Client
from lookup_app.changes.metrics import ChangesMetrics
from lookup_app.changes.settings import ChangesSettings
from lookup_app.changes.stream import ChangeStream, check_room, resume_from
from lookup_app.datasets import Datasets
from lookup_app.entries import Instrument
from lookup_app.epochs import HEADER, EpochWatch
from lookup_app.metrics import LookupMetrics
from lookup_app.problems import Problem, ProblemType, problem_of
from lookup_app.protection.assembly import Protection
from lookup_app.protection.gate import batch_cost
from lookup_app.rpc import lookup_pb2 as pb
from lookup_app.rpc import lookup_pb2_grpc
from lookup_app.rpc.messages import instrument_message, result_message
from lookup_app.rpc.status import code_of, metadata_of
from lookup_app.rpc.watching import CallSink
from lookup_app.service import LookupService

logger = structlog.get_logger()
Context: TypeAlias = Any  # grpc has no types
T = TypeVar("T")
_CREDENTIALS: Final = {"authorization": "HTTP_AUTHORIZATION", "x-api-key": "HTTP_X_API_KEY"}


class Parts(NamedTuple):
    """What the calls need."""

    datasets: Datasets
    streams: Mapping[str, ChangeStream]
    protection: Protection
    metrics: LookupMetrics
    changes_metrics: ChangesMetrics
    changes: ChangesSettings
    batch_ids_max: int
    epochs: EpochWatch


class LookupServicer(lookup_pb2_grpc.LookupServicer):
    """Implements the service of lookup.proto. Reads are done by threads, because they wait for Redis."""

    def __init__(self, parts: Parts, threads: ThreadPoolExecutor) -> None:
        self._parts, self._threads = parts, threads
        self.is_draining = False

    async def Get(self, request: pb.GetRequest, context: Context) -> pb.Instrument:
        dataset = self._dataset(request.dataset)
        async with self._answering(context, dataset, "rpc_get"):
            await self._admit(context, dataset)
            service = self._parts.datasets.get(dataset)

            def read() -> Instrument:
                if request.by:
                    return service.by_alias(_alias(service, request.by), request.id)
                return service.by_key(request.id)

            return instrument_message(dataset, await self._read(context, read))
        raise AssertionError("the call was aborted")

    async def BatchGet(self, request: pb.BatchGetRequest, context: Context) -> pb.BatchGetResponse:
        dataset, ids = self._dataset(request.dataset), list(request.ids)
        async with self._answering(context, dataset, "rpc_batch"):
            await self._admit(context, dataset, batch_cost(len(ids)))
            service = self._parts.datasets.get(dataset)
            self._check_size(len(ids))

            def read() -> pb.BatchGetResponse:
                with self._parts.protection.bulkhead:
                    results = service.batch(ids, _alias(service, request.by) if request.by else None)
                found = [result_message(dataset, asked, result) for asked, result in zip(ids, results, strict=True)]
                return pb.BatchGetResponse(results=found)

            return await self._read(context, read)
        raise AssertionError("the call was aborted")

    async def Watch(self, request: pb.WatchRequest, context: Context) -> None:
        dataset = self._dataset(request.dataset)
        async with self._answering(context, dataset, "rpc_watch"):
            await self._admit(context, dataset)
            self._parts.datasets.get(dataset)
            stream = self._parts.streams[dataset]
            ids = stream.keys(request.ids) if request.ids else frozenset[str]()
            last = resume_from("resume", request.resume)
            self._check_room()
            await stream.begun()
            self._check_room()
            sink = CallSink()
            writing = asyncio.create_task(sink.write_to(context))
            client = Client(ids, sink, self._parts.changes.waiting_bytes_max)
            stream.join(client, last)
            try:
                await asyncio.wait({writing, sink.cut_off}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stream.leave(client)
                writing.cancel()
            if writing.done():
                writing.result()  # raises what went wrong
            why = "The caller is too slow" if client.was_slow else "This process ends"
            raise Problem(ProblemType.BUSY, f"{why}. Watch again, from the last cursor.")

    @asynccontextmanager
    async def _answering(self, context: Context, dataset: str, route: str) -> AsyncIterator[None]:
        """Count the call, and make what is raised its status."""
        started_s = time.perf_counter()
        outcome, status = "ok", 200
        try:
            yield
        except asyncio.CancelledError:  # by the caller, by its deadline, or because it was too slow
            outcome, status = "cancelled", 499
            raise
        except Exception as error:
            problem = problem_of(error)
            outcome, status = problem.kind.slug, problem.kind.status
            if status >= 500:
                logger.error("call_failed", route=route, outcome=outcome, error=str(error.__cause__ or error))
            await _abort(context, problem)
        finally:
            self._parts.metrics.observe(dataset, route, outcome, status, time.perf_counter() - started_s)

    async def _admit(self, context: Context, dataset: str, cost: int = 1) -> None:
        environ = {"REMOTE_ADDR": _address(context.peer())}
        for name, value in context.invocation_metadata() or ():
            if name in _CREDENTIALS and isinstance(value, str):
                environ[_CREDENTIALS[name]] = value
        gate = self._parts.protection.gate
        told = self._epoch(dataset)
        if not gate.is_open:
            admission = await self._in_thread(lambda: gate.admit(environ, dataset, cost))
            told += [(name.lower(), value) for name, value in admission.headers]
        if told:
            context.set_trailing_metadata(told)

    def _epoch(self, dataset: str) -> list[tuple[str, str]]:
        """As REST's header, once there is one."""
        self._parts.epochs.start()
        number = self._parts.epochs.opened.get(dataset)
        return [(HEADER.lower(), number)] if number else []

    async def _read(self, context: Context, read: Callable[[], T]) -> T:
        """Within the call's deadline: when it has passed the caller is told so, and a read that waits is not begun."""
        remaining_s = context.time_remaining()
        until_s = time.monotonic() + remaining_s if remaining_s is not None else None

        def in_time() -> T:
            if until_s is not None and time.monotonic() >= until_s:
                raise TimeoutError("the deadline passed before the read was begun")
            return read()

        return await self._in_thread(in_time)

    async def _in_thread(self, what: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, what)

    def _dataset(self, name: str) -> str:
        names = self._parts.datasets.names
        return names[0] if not name and len(names) == 1 else name

    def _check_size(self, count: int) -> None:
        limit = self._parts.batch_ids_max
        if not 1 <= count <= limit:
            detail = f"The batch has {count} ids; it may have 1 to {limit}."
            raise Problem(ProblemType.INVALID_BATCH_SIZE, detail, {"count": count, "limit": limit})

    def _check_room(self) -> None:
        check_room(self._parts.streams.values(), self._parts.changes.clients_max, self.is_draining)


def _alias(service: LookupService, name: str) -> str:
    """One of the dataset's aliases. Raises Problem for another name."""
    if name not in service.alias_names:
        detail = f"There is no alias {name[:40]!r}. Those of {service.dataset} are: {', '.join(service.alias_names)}."
        raise Problem(ProblemType.INVALID_QUERY, detail, {"value": name[:40]})
    return name


def _address(peer: str) -> str:
    """`ipv4:127.0.0.1:4711` → `127.0.0.1`: the port differs from call to call."""
    kind, _, rest = peer.partition(":")
    return rest.rpartition(":")[0] if kind in ("ipv4", "ipv6") else peer


async def _abort(context: Context, problem: Problem) -> NoReturn:
    await context.abort(code_of(problem), problem.detail, metadata_of(problem))
    raise AssertionError("abort raises")
