"""Measures the lag of the changes of a batch, with numpy: for the stream only, which has it."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Final

import numpy as np

from instrument_cache.lag import EDGES_MS, field
from instrument_cache.plain_puts import Origin

_MOMENTS: Final = {"source": attrgetter("timestamp"), "feed": attrgetter("received_at")}


def lag_counts(origins: Sequence[Origin], now_us: int) -> dict[str, int]:
    """What these changes add to the store's counters, applied now. A moment that is not told is left out."""
    found: dict[str, int] = {}
    for stage, moment in _MOMENTS.items():
        moments = np.array(list(map(moment, origins)), dtype=np.int64)
        # A clock that is ahead of ours must not make a lag negative.
        lags_ms = np.maximum(now_us - moments[moments > 0], 0) // 1000
        buckets = np.bincount(np.searchsorted(EDGES_MS, lags_ms))
        found |= {field(stage, bucket): int(count) for bucket, count in enumerate(buckets) if count}
        if lags_ms.size:
            found[f"{stage}:sum_ms"] = int(lags_ms.sum())
    return found
