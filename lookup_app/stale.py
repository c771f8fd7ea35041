"""How an answer is marked that was kept from before the store went away."""

from __future__ import annotations

from math import ceil
from typing import Final

WARNING: Final = '110 instrument-cache "Response is Stale"'


def stale_headers(stale_s: float | None) -> list[tuple[str, str]]:
    """Nothing for a coherent answer. Ages are whole seconds, rounded up."""
    return [] if stale_s is None else [("Warning", WARNING), ("Age", str(ceil(stale_s)))]
