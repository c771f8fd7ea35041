"""What a dataset is and how it stands now: for people, and for programs that want to know before they trust it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec

from instrument_cache.contract import Contract
from instrument_cache.contract.field_changes import TYPE_NAMES
from instrument_cache.errors import StoreUnavailable
from instrument_cache.freshness.model import Freshness, LagSummary, Verdict
from lookup_app.datasets import Datasets

# A page that many people leave open must not make Redis read the account again for each of them.
KEPT_S: Final = 1.0
_UNTOLD: Final = "Redis does not tell how far the stream is: it does not answer, or the feed writes no canaries."
Look = Callable[[], Freshness]


class FieldDescription(msgspec.Struct, frozen=True):
    """One field of the answers."""

    name: str
    type: str
    description: str


class DatasetDescription(msgspec.Struct, frozen=True):
    """What the contract says. `version` is what its versions count: microseconds, …, or a log position."""

    dataset: str
    contract: str
    purpose: str
    key: str
    aliases: tuple[str, ...]
    version: str
    fields: tuple[FieldDescription, ...]


class CacheStatus(msgspec.Struct, frozen=True):
    """`coherent` answers are within the freshness bound; else they are at most `stale_s` old (null: there are none)."""

    coherent: bool
    stale_s: float | None


class DatasetStatus(msgspec.Struct, frozen=True):
    """How far the dataset is behind its source, as Redis tells it, and what the service does at this moment.

    `behind_s` is the age of the newest change that is proved to be here, on the partition where it is the oldest (null:
    the stream writes no canaries). `lag_ms`: how long changes took, since they happened (`source`) and since the feed
    had them (`feed`).
    """

    dataset: str
    contract: str
    verdict: Verdict
    message: str
    behind_s: float | None
    lag_ms: dict[str, LagSummary]
    cache: CacheStatus
    change_stream: bool


class Status:
    """Answers for every dataset that is served. `looks` has for each what looks at its stream; without, it is unknown.

    `change_stream`: whether this deployment has one.
    """

    def __init__(
        self, datasets: Datasets, looks: dict[str, Look] | None = None, *, change_stream: bool = False
    ) -> None:
        self._datasets, self._change_stream = datasets, change_stream
        self._looks = {name: _Kept(look) for name, look in (looks or {}).items()}

    def described(self, name: str) -> DatasetDescription:
        """Raises Problem (unknown-dataset)."""
        return description_of(self._datasets.get(name).contract)

    def of(self, name: str) -> DatasetStatus:
        """Raises Problem (unknown-dataset). A store that is away is something to tell, not a failure."""
        contract = self._datasets.get(name).contract
        freshness = self._look(name)
        behind_s = freshness.canary_age_s_max if freshness else None
        missing, stale_s = self._datasets.readiness()
        return DatasetStatus(
            dataset=name,
            contract=contract.version,
            verdict=freshness.verdict if freshness else Verdict.UNKNOWN,
            message=freshness.message if freshness and behind_s is not None else _UNTOLD,
            behind_s=behind_s,
            lag_ms=freshness.lags if freshness else {},
            cache=CacheStatus(stale_s is None and "redis" not in missing, stale_s),
            change_stream=self._change_stream,
        )

    def _look(self, name: str) -> Freshness | None:
        try:
            return self._looks[name].look() if name in self._looks else None
        except StoreUnavailable:
            return None


class _Kept:
    """Looks at most once in KEPT_S, one thread at a time; a failure is kept for as long."""

    def __init__(self, look: Look) -> None:
        self._look, self._lock = look, threading.Lock()
        self._until_s = 0.0
        self._last: Freshness | StoreUnavailable

    def look(self) -> Freshness:
        with self._lock:
            if time.monotonic() >= self._until_s:
                try:
                    self._last = self._look()
                except StoreUnavailable as error:
                    self._last = error
                self._until_s = time.monotonic() + KEPT_S
            last = self._last
        if isinstance(last, StoreUnavailable):
            raise StoreUnavailable(str(last))
        return last


def description_of(contract: Contract) -> DatasetDescription:
    """What answers of this contract hold."""
    return DatasetDescription(
        dataset=contract.dataset,
        contract=contract.version,
        purpose=contract.purpose,
        key=contract.key.name,
        aliases=tuple(alias.field.name for alias in contract.aliases),
        version=contract.version_unit.value,
        fields=tuple(FieldDescription(f.name, TYPE_NAMES[f.type], f.description) for f in contract.fields),
    )
