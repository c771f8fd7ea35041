"""Who a caller is, once that was checked, and for how long it need not be checked again."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from lookup_app.problems import Problem, ProblemType

REALM = "instrument-cache"


class Identity(NamedTuple):
    """`client` is what logs and limits know the caller by; `until_s` is of the monotonic clock."""

    client: str
    datasets: frozenset[str]
    until_s: float


class Scheme(Protocol):
    """One way of proving who one is. `identify` raises Problem `unauthenticated` or `keys-unavailable`."""

    def identify(self, credential: str, now_s: float) -> Identity: ...


class Remembered(dict[str, Identity]):
    """Credentials that were checked. At most `size_max` are kept: the oldest goes first.

    Reading needs no lock, and is what each request does; all that changes which credentials there are takes it.
    """

    def __init__(self, size_max: int) -> None:
        super().__init__()
        self._size_max = size_max
        self._lock = threading.Lock()

    def remember(self, credential: str, identity: Identity) -> None:
        with self._lock:
            while len(self) >= self._size_max:
                del self[next(iter(self))]
            self[credential] = identity

    def renew(self, credential: str, identity: Identity) -> None:
        """As `remember`, but only what is still remembered."""
        with self._lock:
            if credential in self:
                self[credential] = identity

    def forget(self, credential: str) -> None:
        with self._lock:
            self.pop(credential, None)

    def forget_all(self) -> None:
        with self._lock:
            self.clear()


def unauthenticated(detail: str, schemes: Iterable[str], *, invalid: bool) -> Problem:
    """401. `invalid` tells a credential that is wrong from one that is missing (RFC 6750)."""
    error = ', error="invalid_token"' if invalid else ""
    challenges = ", ".join(f'{scheme} realm="{REALM}"{error if scheme == "Bearer" else ""}' for scheme in schemes)
    return Problem(ProblemType.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": challenges})


def keys_unavailable(detail: str) -> Problem:
    """503: whether the caller is who he says cannot be told now. He is neither believed nor refused."""
    return Problem(ProblemType.KEYS_UNAVAILABLE, f"{detail} Try again in 1 s.")
