"""The trigger that watches the streaming job through Flink's REST API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from instrument_cache_airflow.job_watch import Incident, JobWatch, Sighting, look
from instrument_cache_airflow.launchers import LaunchersOfStream, stream_launchers
from instrument_cache_airflow.stall_watch import StallWatch, stall_watch

if TYPE_CHECKING:
    from instrument_cache.flink_rest import FlinkRest


class FlinkJobTrigger(BaseTrigger):
    """Fires once, when the dataset's job needs attention; the event is an `Incident` as a dictionary.

    `job_id` is the job that was launched; another one in its place came from a newer run or an upgrade. The trigger
    keeps nothing that a restart of the triggerer could lose: it looks anew, and grants each grace anew. Times in
    seconds.
    """

    def __init__(
        self,
        *,
        flink_url: str,
        dataset: str,
        poll_s: float,
        gone_s: float,
        unreachable_s: float,
        checkpoint_age_s_max: float,
        job_id: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flink_url = flink_url
        self.dataset = dataset
        self.job_id = job_id
        self.poll_s = poll_s
        self.limits = {
            "gone_s": gone_s,
            "unreachable_s": unreachable_s,
            "checkpoint_age_s_max": checkpoint_age_s_max,
        }
        self._last_seen = ""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        watched = {"flink_url": self.flink_url, "dataset": self.dataset, "job_id": self.job_id}
        return f"{type(self).__module__}.{type(self).__qualname__}", {**watched, "poll_s": self.poll_s, **self.limits}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look every `poll_s` seconds until something is wrong for longer than its grace."""
        watch = JobWatch(job_id=self.job_id, **self.limits)
        # In a thread: the first import takes a while, and every call may block.
        flink, name_prefix, stalls, launchers = await asyncio.to_thread(self._connect)
        try:
            while True:
                sighting = await asyncio.to_thread(look, flink, name_prefix, stalls, launchers)
                self._log_change(sighting)
                if incident := watch.judge(sighting, time.monotonic()):
                    break
                await asyncio.sleep(self.poll_s)
        finally:
            flink.close()
        await asyncio.to_thread(_mark_if_standing, incident, sighting, stalls)
        yield TriggerEvent(asdict(incident))  # type: ignore[no-untyped-call]

    def _connect(self) -> tuple[FlinkRest, str, StallWatch | None, LaunchersOfStream | None]:
        from instrument_cache.flink_rest import FlinkRest, stream_job_name_prefix

        stalls, launchers = stall_watch(self.dataset), stream_launchers(self.dataset)
        return FlinkRest(self.flink_url), stream_job_name_prefix(self.dataset), stalls, launchers

    def _log_change(self, sighting: Sighting) -> None:
        if str(sighting) != self._last_seen:
            self._last_seen = str(sighting)
            self.log.info("Seen: %s", sighting)


def _mark_if_standing(incident: Incident, sighting: Sighting, stalls: StallWatch | None) -> None:
    """The launch that follows would recognise the job as the one that should run, and leave it as it is."""
    if incident.kind == "standing" and stalls is not None:
        stalls.mark(sighting.running[0].job_id, incident.message)
