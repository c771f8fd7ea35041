"""What an operator wants to know of a dataset's releases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flink_jobs.launch.release_store import Published
from flink_jobs.launch.wanted import Past, Run, Wanted


def overview(wanted: Wanted | None, published: Sequence[Published]) -> dict[str, Any]:
    """{"current": run, "trial": run or None, "past": [run with verdict and reason …], "releases": [published …]}.

    Times are microseconds since 1970.
    """
    return {
        "current": wanted and _run(wanted.current),
        "trial": wanted and wanted.trial and _run(wanted.trial),
        "past": [_past(past) for past in wanted.past] if wanted else [],
        "releases": [
            {
                "version": release.version,
                "digest": release.digest,
                "size": release.size,
                "published_us": release.published_us,
                "state": _state(wanted, release.version),
            }
            for release in published
        ],
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "release": run.release,
        "parallelism": run.parallelism or None,
        "generation": run.generation,
        "job_id": run.job_id,
        "began_us": run.began_us,
        "base": run.base,
    }


def _past(past: Past) -> dict[str, Any]:
    return {**_run(past.run), "verdict": past.verdict, "reason": past.reason, "ended_us": past.ended_us}


def _state(wanted: Wanted | None, version: str) -> str:
    """`current`, `trial`, the newest verdict, or `never ran`."""
    if wanted is None:
        return "never ran"
    if wanted.current.release == version:
        return "current"
    if wanted.trial and wanted.trial.release == version:
        return "trial"
    return next((past.verdict for past in wanted.past if past.run.release == version), "never ran")
