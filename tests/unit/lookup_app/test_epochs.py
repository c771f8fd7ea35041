"""Which answers say in which epoch they were given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from instrument_cache.errors import StoreUnavailable
from lookup_app.epochs import EpochHeader, EpochWatch


class Epochs:
    """What Redis holds, or would if it answered."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.is_away = False

    def read(self, dataset: str) -> int:
        if self.is_away:
            raise StoreUnavailable("away")
        return self.numbers.get(dataset, 0)


@pytest.fixture
def epochs() -> Epochs:
    return Epochs()


@pytest.fixture
def watch(epochs: Epochs, monkeypatch: pytest.MonkeyPatch) -> EpochWatch:
    made = EpochWatch(["instruments", "issuers"], epochs.read)
    monkeypatch.setattr(made, "start", lambda: None)
    return made


def headers(watch: EpochWatch, path: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Vary", "Accept")])
        return []

    EpochHeader(app, watch)({"PATH_INFO": path}, lambda status, given, *more: found.extend(given))
    return found


def test_in_the_first_epoch_nothing_is_said(watch: EpochWatch) -> None:
    watch.look()
    assert headers(watch, "/v1/instruments/037833100") == [("Vary", "Accept")]


@pytest.mark.parametrize("path", ["/v1/instruments/037833100", "/v1/instruments:batch", "/v1/instruments"])
def test_every_answer_of_a_dataset_that_was_rolled_back_says_so(watch: EpochWatch, epochs: Epochs, path: str) -> None:
    epochs.numbers["instruments"] = 2
    watch.look()
    assert headers(watch, path) == [("Vary", "Accept"), ("Instrument-Epoch", "2")]


@pytest.mark.parametrize("path", ["/v1/issuers/1", "/metrics", "/v1/", "/"])
def test_other_answers_do_not(watch: EpochWatch, epochs: Epochs, path: str) -> None:
    epochs.numbers["instruments"] = 2
    watch.look()
    assert headers(watch, path) == [("Vary", "Accept")]


def test_while_redis_is_away_the_last_epoch_counts(watch: EpochWatch, epochs: Epochs) -> None:
    epochs.numbers["instruments"] = 2
    watch.look()
    epochs.is_away = True
    watch.look()
    assert watch.opened == {"instruments": "2"}
    epochs.is_away, epochs.numbers = False, {}
    watch.look()
    assert watch.opened == {}
