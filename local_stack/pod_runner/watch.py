"""Answers a watch request: one JSON line per change until the time is over."""

import json
import time
from collections.abc import AsyncIterator, Callable, Iterable

from local_stack.pod_runner.changes import Change, ChangeLog, Expired
from local_stack.pod_runner.selectors import ObjectTest
from local_stack.pod_runner.status import ApiError, Json

TIMEOUT_S_DEFAULT = 1800.0


async def watch(
    changes: ChangeLog,
    kind: str,
    matches: ObjectTest,
    current: Callable[[], Iterable[Json]],
    since: int,
    timeout_s: float,
) -> AsyncIterator[bytes]:
    """Yield the changes of matching objects of `kind` after version `since`; with 0, `current()` comes first."""
    deadline = time.monotonic() + timeout_s
    version = since or changes.version
    # Taken with the version, before anything can come between.
    present = [] if since else [item for item in current() if matches(item)]
    for item in present:
        yield _line("ADDED", item)
    while (left_s := deadline - time.monotonic()) > 0:
        try:
            news = changes.since(version)
        except Expired:
            yield _line("ERROR", _expired(version).body())
            return
        for change in news:
            version = change.version
            if change.kind == kind and (line := _change_line(change, matches)):
                yield line
        if not news:
            await changes.wait(left_s)


def _change_line(change: Change, matches: ObjectTest) -> bytes:
    """Tell a change as the watcher sees it: an object that begins or ceases to match comes or goes."""
    before = change.before if change.before and matches(change.before) else None
    after = change.after if change.after and matches(change.after) else None
    if after:
        return _line("MODIFIED" if before else "ADDED", after)
    # The object that goes carries the version at which it went.
    version = {"resourceVersion": str(change.version)}
    return _line("DELETED", {**before, "metadata": {**before["metadata"], **version}}) if before else b""


def _line(kind: str, item: Json) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def _expired(version: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {version}; list again and watch from there")
