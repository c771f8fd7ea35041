"""What the hot routes share: who may ask, what is counted, and the way to Flask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from lookup_app.cache.near_cache import NearCache
from lookup_app.drain import DRAIN
from lookup_app.hot_path.request_ids import RequestIds
from lookup_app.metrics import LookupMetrics
from lookup_app.problems import Problem
from lookup_app.protection.assembly import Protection
from lookup_app.protection.gate import ADMISSION
from lookup_app.sampling import Sampling

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
# What the gate wants in the headers of an answer to this caller.
Caller = tuple[tuple[str, str], ...]
REQUEST_ID: Final = "X-Request-ID"
# Where a request's environment holds the error that Flask is to answer with.
FOUND: Final = "icache.found"
_NOBODY: Final[Caller] = ()


class Answering:
    """Of one application. `app` is the one that answers whatever is not hot."""

    def __init__(
        self,
        app: Application,
        cache: NearCache,
        metrics: LookupMetrics,
        protection: Protection | None,
        sampling: Sampling,
    ) -> None:
        self.app, self.cache, self.metrics, self.protection = app, cache, metrics, protection
        self.request_id = RequestIds().of
        self._gate = None if protection is None or protection.gate.is_open else protection.gate
        self._sampling = sampling if sampling.is_on else None

    def is_for_flask(self, environ: Environ) -> bool:
        """True for a request that was chosen to be looked at closely, and once this process is about to stop."""
        return DRAIN.begun or (self._sampling is not None and self._sampling.of(environ) is not None)

    def knows(self, environ: Environ) -> bool:
        """Whether `admit` needs to ask nobody who this caller is."""
        return self._gate is None or self._gate.knows(environ)

    @property
    def is_quick(self) -> bool:
        """Whether requests need no closer look than `admit_known`."""
        return self._sampling is None and not DRAIN.begun

    def admit_known(self, environ: Mapping[str, Any], dataset: str) -> Caller | None:
        """As `admit`, of who is known already; None, and nothing is charged: take the usual way."""
        return _NOBODY if self._gate is None else self._gate.admit_known(environ, dataset)

    def admit(self, environ: Environ, dataset: str, cost: int = 1) -> Caller | None:
        """What the answer's headers must say to who is let in; None: let Flask say why not."""
        if self._gate is None:
            return _NOBODY
        try:
            admission = self._gate.admit(environ, dataset, cost)
        except Problem:
            return None
        environ[ADMISSION] = admission
        return admission.headers

    def charge(self, environ: Environ, cost: int) -> Caller | None:
        """The same for who was admitted and is charged for more; None: let Flask say why not."""
        if self._gate is None:
            return _NOBODY
        try:
            self._gate.charge(environ, cost)
        except Problem:
            return None
        headers: Caller = environ[ADMISSION].headers
        return headers

    def refer(self, environ: Environ, start_response: StartResponse, found: Exception) -> Iterable[bytes]:
        """Let Flask answer with the error that was found."""
        environ[FOUND] = found
        return self.app(environ, start_response)
