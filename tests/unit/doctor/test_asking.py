"""Parts that fail, hang or depend on each other: each says so, and none keeps the others from being heard."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from instrument_cache.asking.parts import Part
from instrument_cache.doctor import Finding, is_red, part_of, red_first
from instrument_cache.doctor.asking import ask_all
from instrument_cache.errors import LogUnavailable, SettingsError, StoreUnavailable

WELL = Finding("well", "ok", "all is well")


def well() -> Iterator[Finding]:
    yield WELL


def failing(error: Exception) -> Part:
    def ask() -> Iterator[Finding]:
        raise error
        yield

    return part_of("sick", ask)


def test_a_part_that_hangs_is_a_finding_and_holds_nobody_up() -> None:
    release = threading.Event()

    def hang() -> Iterator[Finding]:
        release.wait(60)
        yield WELL

    began_s = time.monotonic()
    hung, other = ask_all([part_of("stuck", hang), part_of("well", well)], 0.3)
    release.set()
    assert time.monotonic() - began_s < 30
    assert (hung.part, hung.severity, hung.sentence) == ("stuck", "red", "stuck has not answered within 0.3 s")
    assert other == WELL


@pytest.mark.parametrize(
    ("error", "severity", "says"),
    [
        (StoreUnavailable("no route"), "warn", "mend Redis first"),
        (LogUnavailable("no broker"), "warn", "mend Kafka first"),
        (SettingsError("ICACHE_REDIS_URL is missing"), "red", "docs/settings.md"),
        (KeyError("used_memory"), "red", "icache logs"),
    ],
)
def test_a_part_that_fails_says_what_and_what_to_do(error: Exception, severity: str, says: str) -> None:
    (found,) = ask_all([failing(error)], 30)
    assert (found.part, found.severity) == ("sick", severity)
    assert says in found.mend
    assert found.why
    assert str(error).strip("'") in found.sentence


def test_red_comes_first_and_the_order_stays_else() -> None:
    a, b, c, d = (Finding("a", "ok", ""), Finding("b", "red", ""), Finding("c", "warn", ""), Finding("d", "red", ""))
    assert red_first([a, b, c, d]) == [b, d, c, a]
    assert is_red([a, b])
    assert not is_red([a, c])
