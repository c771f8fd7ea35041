"""What the service answers, as messages. The instrument travels as its stored bytes: a contract is data, not code."""

from __future__ import annotations

from typing import Final

from lookup_app import entries, problems
from lookup_app.changes.events import Event, Kind
from lookup_app.rpc import lookup_pb2 as pb

_KINDS: Final = {
    Kind.HELLO: pb.WatchEvent.HELLO,
    Kind.PUT: pb.WatchEvent.PUT,
    Kind.DELETE: pb.WatchEvent.DELETE,
    Kind.RESET: pb.WatchEvent.RESET,
    Kind.HEARTBEAT: pb.WatchEvent.HEARTBEAT,
    Kind.EPOCH: pb.WatchEvent.EPOCH,
    Kind.RESTORED: pb.WatchEvent.RESTORED,
}


def instrument_message(dataset: str, found: entries.Instrument) -> pb.Instrument:
    return pb.Instrument(dataset=dataset, version=found.version, json=found.body, stale_s=found.stale_s)


def problem_message(problem: problems.Problem) -> pb.Problem:
    kind = problem.kind
    return pb.Problem(type=kind.slug, status=kind.status, detail=problem.detail, json=problem.body())


def result_message(dataset: str, asked: str, result: entries.Instrument | problems.Problem) -> pb.Result:
    if isinstance(result, entries.Instrument):
        return pb.Result(id=asked, instrument=instrument_message(dataset, result))
    return pb.Result(id=asked, problem=problem_message(result))


def event_message(event: Event) -> pb.WatchEvent:
    return pb.WatchEvent(
        kind=_KINDS[event.kind],
        cursor=event.cursor,
        id=event.key,
        version=event.version or 0,
        json=event.data if event.kind in (Kind.EPOCH, Kind.RESTORED) else event.stored or b"",
        detail=event.detail,
    )
