"""Opens the lane in a worker, around the hot path that the worker has anyway."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from multiprocessing.util import Finalize
from typing import Any, Final

from lookup_app.drain import DRAIN
from lookup_app.epochs import EpochWatch
from lookup_app.fast_lane.dispatch import Application, Dispatch
from lookup_app.fast_lane.lane import Lane, new_loop, run_in_thread
from lookup_app.fast_lane.late_reads import LateReads
from lookup_app.fast_lane.settings import LaneSettings
from lookup_app.hot_path.middleware import HotPath

# What is left to be sent when the server behind has ended.
_LAST_S_MAX: Final = 1.0


def open_lane(
    settings: LaneSettings, hot: HotPath, app: Application, watch: EpochWatch, redis_timeout_s: float
) -> None:
    """Listen from now on, until the process ends. `app` answers what has to wait. Raises OSError."""
    loop = new_loop()
    reads = LateReads(loop, hot.backing.links, hot.backing.redis_reader, redis_timeout_s)
    dispatch = Dispatch(loop, hot, app, watch.opened, reads, settings.threads, settings.address)
    lane = Lane(settings, loop, dispatch)

    def begin() -> None:
        watch.start()
        hot.backing.start()
        lane.start()

    def done(work: Coroutine[Any, Any, None], limit_s: float) -> None:
        with suppress(TimeoutError):  # the end goes on
            asyncio.run_coroutine_threadsafe(work, loop).result(limit_s + 1)

    def stop() -> None:
        done(lane.stop(settings.stop_s), settings.stop_s)

    def emptied() -> None:
        done(lane.emptied(_LAST_S_MAX), _LAST_S_MAX)

    DRAIN.before_end.append(stop)
    # Worker processes end without the interpreter's own exit handlers.
    Finalize(None, emptied, exitpriority=10)
    run_in_thread(loop, begin)
