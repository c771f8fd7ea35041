"""A bounded sketch, in Redis, of the keys that are asked for most: a worker that starts loads them first.

All workers add to one sorted set per dataset. A miss counts one, and of the hits each 64th counts 64, so that a key
that is asked for rarely is known too, and counting costs next to nothing. Every ten minutes the counts are halved.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Final

import redis

HIT_SAMPLE: Final = 64
# Between two flushes; what is asked for more often than this leaves the older samples out.
_SAMPLES_MAX: Final = 8192
_HALF_LIFE_S: Final = 600


class HotKeys:
    """Of one dataset, in `lookup:hot:{dataset}`. What Redis does not take is forgotten: it is only a hint."""

    def __init__(self, client: redis.Redis, dataset: str, keys_max: int) -> None:
        self._client: Any = client
        self._name = f"lookup:hot:{dataset}"
        self._keys_max = keys_max
        self._samples: deque[tuple[str, int]] = deque(maxlen=_SAMPLES_MAX)

    def missed(self, keys: Sequence[str]) -> None:
        self._samples.extend([(key, 1) for key in keys])

    def hit(self, key: str) -> None:
        """One of HIT_SAMPLE hits."""
        self._samples.append((key, HIT_SAMPLE))

    def hottest(self) -> list[str]:
        """Full keys, the hottest first. Raises RedisError."""
        members: list[bytes] = self._client.zrevrange(self._name, 0, self._keys_max - 1)
        return [member.decode("utf-8", "replace") for member in members]

    def flush(self) -> None:
        """Add what was seen since the last time. Raises RedisError."""
        counts: Counter[str] = Counter()
        while self._samples:
            key, weight = self._samples.popleft()
            counts[key] += weight
        if not counts:
            return
        pipeline = self._client.pipeline(transaction=False)
        for key, count in counts.most_common(self._keys_max):
            pipeline.zincrby(self._name, count, key)
        pipeline.zremrangebyrank(self._name, 0, -self._keys_max - 1)
        pipeline.execute()
        if self._client.set(f"{self._name}:halved", 1, nx=True, ex=_HALF_LIFE_S):
            self._client.zunionstore(self._name, {self._name: 0.5})
