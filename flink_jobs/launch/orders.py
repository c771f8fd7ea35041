"""What a run of a DAG decided to do, in S3 and written once: its second try does the same, whatever is true by then.

Without it a roll back that was cut off after its work was done would go back one release further.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import quote

import msgspec

from flink_jobs.launch.upgrade import Change
from instrument_cache.objects import ObjectStore


class Order(msgspec.Struct, frozen=True):
    """The change that a run decided on, and when."""

    run_id: str
    began_us: int
    change: Change


class Orders:
    """The orders of one dataset. Every method raises ObjectStoreUnavailable if S3 does not answer."""

    def __init__(self, objects: ObjectStore, dataset: str) -> None:
        self._objects = objects
        self._folder = f"orders/{dataset}"

    def settle(self, run_id: str, decide: Callable[[], Change]) -> Order:
        """The order of a run: what its first try decided."""
        key = f"{self._folder}/{quote(run_id, safe='')}.json"
        if not list(self._objects.keys(key)):
            order = Order(run_id, time.time_ns() // 1000, decide())
            self._objects.put_once(key, msgspec.json.encode(order))
        return msgspec.json.decode(self._objects.get(key), type=Order)
