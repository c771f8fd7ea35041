"""How often one client may ask: a token bucket per client, kept as the time at which it will be full again (GCRA)."""

from __future__ import annotations

import math
import threading
from typing import Final

from lookup_app.problems import Problem, ProblemType
from lookup_app.protection.settings import RateSettings

Headers = tuple[tuple[str, str], ...]
_POLICY: Final = "default"
# Clients that could not be told apart any more: the table is full of others that are active.
_OVERFLOW: Final = "overflow"
_SWEEP_PAUSE_S: Final = 1.0
_HEADERS_MAX: Final = 10_000
# The last of a burst is not lost to the rounding of sums.
_ROUNDING_S: Final = 1e-9


class RateLimit:
    """Limits in this process alone. Times in seconds of a monotonic clock, given by the caller.

    Redis has no part in it: a limit that needs a round trip costs more than the read that it guards, and would fail
    with Redis, when clients that ask again and again must be held back most.
    """

    def __init__(self, settings: RateSettings) -> None:
        self._interval_s = 1 / settings.per_s
        self._burst, self._clients_max = settings.burst, settings.clients_max
        self._window_s = settings.burst * self._interval_s
        self._reach_s = self._window_s + _ROUNDING_S
        self._full_at_s: dict[str, float] = {}
        self._swept_at_s = -math.inf
        self._lock = threading.Lock()
        self._headers: dict[int, Headers] = {}

    @property
    def clients(self) -> int:
        """How many clients are remembered."""
        return len(self._full_at_s)

    def take(self, client: str, cost: int, now_s: float) -> Headers:
        """Charge `client`; what its answer's headers must say. Raises Problem `rate-limited`, which charges nothing."""
        with self._lock:
            full_at_s = self._full_at_s.get(client)
            if full_at_s is None:
                client, full_at_s = self._admit(client, now_s)
            if full_at_s < now_s:
                full_at_s = now_s
            after_s = full_at_s + cost * self._interval_s
            # A request dearer than the whole bucket passes when the bucket is full, or it could never pass.
            refused = after_s - now_s > self._reach_s and full_at_s > now_s
            if not refused:
                self._full_at_s[client] = after_s
        if refused:
            raise self._refusal(full_at_s, cost, now_s)
        remaining = int((self._window_s - (after_s - now_s)) * (1 / self._interval_s) + 1e-6)
        return self._headers.get(remaining) or self._headers_of(max(remaining, 0))

    def _admit(self, client: str, now_s: float) -> tuple[str, float]:
        """A place in the table: a client whose bucket is full again needs none."""
        if len(self._full_at_s) >= self._clients_max and now_s - self._swept_at_s >= _SWEEP_PAUSE_S:
            self._swept_at_s = now_s
            self._full_at_s = {name: full for name, full in self._full_at_s.items() if full > now_s}
        if len(self._full_at_s) >= self._clients_max:
            client = _OVERFLOW
        return client, self._full_at_s.get(client, now_s)

    def _headers_of(self, remaining: int) -> Headers:
        headers = self._made(remaining)
        if len(self._headers) < _HEADERS_MAX:
            self._headers[remaining] = headers
        return headers

    def _made(self, remaining: int) -> Headers:
        """As draft-ietf-httpapi-ratelimit-headers-10 has them: `t` is when the whole quota is there again."""
        reset_s = math.ceil((self._burst - remaining) * self._interval_s)
        policy = f'"{_POLICY}";q={self._burst};w={math.ceil(self._window_s)}'
        return (("RateLimit-Policy", policy), ("RateLimit", f'"{_POLICY}";r={remaining};t={reset_s}'))

    def _refusal(self, full_at_s: float, cost: int, now_s: float) -> Problem:
        allowed_at_s = full_at_s + min(cost * self._interval_s - self._window_s, 0)
        retry_after_s = max(math.ceil(allowed_at_s - now_s), 1)
        remaining = max(int((self._window_s - (full_at_s - now_s)) / self._interval_s), 0)
        headers = {**dict(self._headers_of(remaining)), "Retry-After": str(retry_after_s)}
        per_s = f"{1 / self._interval_s:g}"
        detail = f"A client may ask {per_s} times a second, {self._burst} at once. Try again in {retry_after_s} s."
        return Problem(ProblemType.RATE_LIMITED, detail, {"limit": self._burst}, headers=headers)
