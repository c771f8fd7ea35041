"""What watches the service beside its counters: sampled logs, traces, and the folder where workers add up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lookup_app.sampling import Sampling, SamplingSettings

if TYPE_CHECKING:
    from lookup_app.tracing import Tracing


class Observation(NamedTuple):
    """`tracing` is None unless there is a collector; `metrics_folder` is None for a single worker."""

    sampling: Sampling
    tracing: Tracing | None = None
    metrics_folder: str | None = None


def create_observation(settings: SamplingSettings, metrics_folder: str | None = None) -> Observation:
    """To be made in the process that serves: tracing starts a thread."""
    if settings.otlp_endpoint is None:
        return Observation(Sampling(settings), None, metrics_folder)
    from lookup_app.tracing import Tracing

    return Observation(Sampling(settings), Tracing(settings.otlp_endpoint), metrics_folder)


def unobserved() -> Observation:
    """Nothing is sampled, and one worker counts for itself."""
    return Observation(Sampling(SamplingSettings()))
