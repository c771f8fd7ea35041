"""Lets a request in or raises the problem that keeps it out: one door for Flask, the hot path and the other processes.

The way of a known caller is the hot one: a header, a look into a dict, and the rate limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lookup_app.problems import VALUE_CHARACTERS_MAX, Problem, ProblemType
from lookup_app.protection.identity import Identity, unauthenticated
from lookup_app.protection.rate_limit import Headers, RateLimit

if TYPE_CHECKING:  # each brings a library that a service without it need not load
    from lookup_app.protection.api_keys import ApiKeys
    from lookup_app.protection.jwt_tokens import JwtTokens

# Where a request's environment holds its Admission.
ADMISSION: Final = "icache.admission"
IDS_PER_COST: Final = 100


class Admission(NamedTuple):
    """A request that was let in: who asks, and headers (name, value) for the answer."""

    client: str
    headers: tuple[tuple[str, str], ...] = ()


class Gate:
    """Any part may be None: no tokens, no API keys, no limit. Safe to share between threads."""

    def __init__(
        self,
        datasets: Collection[str],
        tokens: JwtTokens | None = None,
        api_keys: ApiKeys | None = None,
        limit: RateLimit | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._datasets, self._tokens, self._api_keys, self._limit = frozenset(datasets), tokens, api_keys, limit
        self._known_tokens = tokens.known if tokens else {}
        self._known_keys = api_keys.known if api_keys else {}
        self._off = tokens is None and api_keys is None
        self._monotonic = monotonic

    @property
    def is_open(self) -> bool:
        """Everybody is let in, and nobody is counted."""
        return self._off and self._limit is None

    def knows(self, environ: Mapping[str, Any]) -> bool:
        """Whether `admit` can tell who asks without asking anybody else."""
        if self._off:
            return True
        known = self._known(environ)
        return known is not None and known.until_s > self._monotonic()

    def admit_known(self, environ: Mapping[str, Any], dataset: str) -> Headers | None:
        """As `admit` for a cost of 1, in less time; None, and nothing is charged, if it is not as simple as that."""
        now_s, known = self._monotonic(), self._known(environ)
        if known is None or known[2] <= now_s or dataset not in known[1]:
            return None
        if self._limit is None:
            return ()
        try:
            return self._limit.take(known[0], 1, now_s)
        except Problem:
            return None

    def _known(self, environ: Mapping[str, Any]) -> Identity | None:
        token = environ.get("HTTP_AUTHORIZATION")
        if token is not None and self._tokens is not None:
            return self._known_tokens.get(token)
        return self._known_keys.get(environ.get("HTTP_X_API_KEY", ""))

    def close(self) -> None:
        """End what works in the background."""
        for part in (self._tokens, self._api_keys):
            if part is not None:
                part.close()

    def admit(self, environ: Mapping[str, Any], dataset: str | None, cost: int = 1) -> Admission:
        """Let a request in that wants to read `dataset` (None: no dataset's data). `environ` is that of WSGI.

        Raises Problem `unauthenticated`, `forbidden`, `rate-limited` or `keys-unavailable`. A refused request costs
        nothing. A dataset that is not served is nobody's to guard: the route says that it is not there.
        """
        now_s = self._monotonic()
        if self._off:
            client = f"address:{environ.get('REMOTE_ADDR', '')}"
        else:
            identity = self._known_tokens.get(environ.get("HTTP_AUTHORIZATION", ""))
            if identity is None or identity[2] <= now_s:
                identity = self._identify(environ, now_s)
            client = identity[0]
            if dataset is not None and dataset not in identity[1] and dataset in self._datasets:
                raise _forbidden(client, dataset)
        if self._limit is None:
            return Admission(client)
        return Admission(client, self._limit.take(client, cost, now_s))

    def charge(self, environ: MutableMapping[str, Any], cost: int) -> None:
        """Charge an admitted request for what it turns out to cost beyond. Raises Problem `rate-limited`."""
        admission = environ.get(ADMISSION)
        if self._limit is not None and admission is not None and cost > 0:
            headers = self._limit.take(admission.client, cost, self._monotonic())
            environ[ADMISSION] = Admission(admission.client, headers)

    def _identify(self, environ: Mapping[str, Any], now_s: float) -> Identity:
        token, key = environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_X_API_KEY")
        if token is not None and self._tokens is not None:
            return self._tokens.identify(token, now_s)
        if key is None or self._api_keys is None:
            raise unauthenticated(self._missing(), self._schemes(), invalid=False)
        known = self._known_keys.get(key)
        return known if known is not None and known.until_s > now_s else self._api_keys.identify(key, now_s)

    def _schemes(self) -> list[str]:
        return [name for name, part in (("Bearer", self._tokens), ("ApiKey", self._api_keys)) if part is not None]

    def _missing(self) -> str:
        ways = {"Bearer": "a token in the header Authorization", "ApiKey": "an API key in the header X-API-Key"}
        return f"Say who you are: send {' or '.join(ways[scheme] for scheme in self._schemes())}."


def batch_cost(ids: int) -> int:
    """What a batch of so many ids costs, where a single read costs 1."""
    return 1 + ids // IDS_PER_COST


def _forbidden(client: str, dataset: str) -> Problem:
    detail = f"The caller may not read the dataset {dataset[:VALUE_CHARACTERS_MAX]!r}; ask whoever issues its access."
    return Problem(ProblemType.FORBIDDEN, detail, {"dataset": dataset[:VALUE_CHARACTERS_MAX], "client": client})
