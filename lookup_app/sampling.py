"""Which requests are looked at closely: logged, traced, or both. Few, as that costs more than the request."""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, NamedTuple

from instrument_cache.settings import Environment, environment

# Where a request's environment holds its Sample.
SAMPLE: Final = "icache.sample"
# A caller that marks every request as sampled cannot slow the service down with it.
TRACES_PER_S_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """One request in so many is logged or traced; 0 is none. Without `otlp_endpoint` nothing is traced."""

    log_one_in: int = 0
    trace_one_in: int = 0
    otlp_endpoint: str | None = None


def sampling_settings(env: Environment | None = None) -> SamplingSettings:
    """Read the environment. Raises SettingsError, which names the setting, its value and the rule."""
    env = env or environment()
    return SamplingSettings(
        log_one_in=env.integer("ICACHE_LOOKUP_LOG_ONE_IN", 0, 0, 1_000_000_000),
        trace_one_in=env.integer("ICACHE_LOOKUP_TRACE_ONE_IN", 0, 0, 1_000_000_000),
        otlp_endpoint=env.variables.get("ICACHE_LOOKUP_OTLP_ENDPOINT") or None,
    )


class Sample(NamedTuple):
    """What is to be done with a request that was chosen."""

    log: bool
    trace: bool


class Sampling:
    """Chooses requests. `is_on` False: none is ever chosen, and nobody need ask."""

    def __init__(self, settings: SamplingSettings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._log_one_in, self._trace_one_in = settings.log_one_in, settings.trace_one_in
        self._traces = settings.otlp_endpoint is not None
        self.is_on = self._traces or settings.log_one_in > 0
        self._numbers, self._monotonic = count(1), monotonic
        self._second, self._traced = 0, 0

    def of(self, environ: MutableMapping[str, Any]) -> Sample | None:
        """What is to be done with a request, or None for most. A second question gets the answer of the first."""
        if not self.is_on:
            return None
        if SAMPLE not in environ:
            environ[SAMPLE] = self._choose(environ)
        chosen: Sample | None = environ[SAMPLE]
        return chosen

    def _choose(self, environ: MutableMapping[str, Any]) -> Sample | None:
        number = next(self._numbers)
        log = self._log_one_in > 0 and number % self._log_one_in == 0
        trace = self._traces and self._wants_trace(environ.get("HTTP_TRACEPARENT"), number) and self._may_trace()
        return Sample(log, trace) if log or trace else None

    def _wants_trace(self, parent: str | None, number: int) -> bool:
        """As the caller decided (the last bit of `traceparent`), or one in so many."""
        if parent is not None:
            return parent[-1:] in tuple("13579bdf") and len(parent) == 55
        return self._trace_one_in > 0 and number % self._trace_one_in == 0

    def _may_trace(self) -> bool:
        second = int(self._monotonic())
        if second != self._second:
            self._second, self._traced = second, 0
        self._traced += 1
        return self._traced <= TRACES_PER_S_MAX
