"""The reports of the last runs. One is written once and never changes, so each is fetched once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

from instrument_cache.drills.trend import earlier_reports
from instrument_cache.objects import ObjectStore
from instrument_cache.overview.operation_tiles import TRENDS
from instrument_cache.reports import Report, name_of_run
from instrument_cache.settings import S3Settings

RUNS: Final = 30
_KEPT_MAX: Final = 500


class RememberedObjects(ObjectStore):
    """An object store that keeps what it read last; good only for objects that are written once."""

    def __init__(self, settings: S3Settings) -> None:
        super().__init__(settings)
        self._read: OrderedDict[str, bytes] = OrderedDict()

    def get(self, key: str) -> bytes:
        body = self._read.get(key)
        if body is None:
            body = self._read[key] = super().get(key)
            while len(self._read) > _KEPT_MAX:
                self._read.popitem(last=False)
        return body


def date_of_run(objects: ObjectStore, dataset: str, operation: str, run_id: str) -> str | None:
    """The day under which the report of a run lies; None if there is none. Raises ObjectStoreUnavailable."""
    prefix, name = f"reports/{dataset}/{name_of_run(operation)}/", f"/{name_of_run(run_id)}.json"
    found = [key.removeprefix(prefix)[:10] for key in objects.keys(prefix) if key.endswith(name)]
    return max(found, default=None)


def read_trends(objects: ObjectStore, dataset: str) -> Mapping[str, Sequence[Report]]:
    """Operation → its last reports, the oldest first. Raises ObjectStoreUnavailable."""
    return {operation: earlier_reports(objects, dataset, operation, RUNS) for operation in TRENDS}
