"""Where in the log all stands that the source held at one moment, as the feed's canaries tell."""

from __future__ import annotations

from typing import Final

from instrument_cache.canary import is_canary, position_of
from instrument_cache.kafka import follow

_GROUP: Final = "instrument-cache.reconcile"


class LogFence:
    """Of one dataset's log. A canary of a position lies behind every change up to it, in each partition."""

    def __init__(self, bootstrap: str, dataset: str) -> None:
        self._bootstrap, self._dataset = bootstrap, dataset

    def ends(self, position: int, wait_s: float) -> dict[int, int] | None:
        """Partition → the offset behind its first new canary of this position or a later one; None if one did not come.

        Raises LogUnavailable.
        """
        with follow(self._bootstrap, self._dataset, _GROUP, wait_s) as (partitions, messages):
            found: dict[int, int] = {}
            for message in messages:
                if is_canary(message.key() or b"") and (position_of(message.value()) or -1) >= position:
                    found.setdefault(message.partition(), message.offset() + 1)
                if found.keys() >= partitions:
                    return found
        return None
