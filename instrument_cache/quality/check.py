"""One input from its records to its findings, batch by batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from instrument_cache.clock import Clock
from instrument_cache.contract import Contract
from instrument_cache.quality.findings import Measured, findings_of
from instrument_cache.quality.frame import PageReader
from instrument_cache.quality.judging import Judging
from instrument_cache.quality.model import SOURCE, Checked, Profile, Tally
from instrument_cache.quality.profiling import Profiler
from instrument_cache.quality.records import Raw, Sampling, batches
from instrument_cache.quality.rules import judged_fields, rules_of

# 25 MB of the cache's values; Great Expectations takes 20 ms per expectation and batch, however small it is.
BATCH_ROWS: Final = 50_000
Progress = Callable[[str, int], None]


def check(
    contract: Contract,
    input_name: str,
    pages: Iterable[list[Raw]],
    sampling: Sampling,
    baseline: tuple[str, Profile | None],
    clock: Clock,
    what: str = "",
    progress: Progress = lambda *_: None,
) -> Checked:
    """Judge all records of an input. `baseline`: name and profile of its last good run. Raises what `pages` raises."""
    began_s, rules = time.monotonic(), rules_of(contract)
    reader = PageReader(contract, judged_fields(contract), is_stored=input_name != SOURCE)
    judging, profiler, unreadable, misplaced = Judging(contract, rules), Profiler(), Tally(), Tally()
    for batch in batches(pages, BATCH_ROWS):
        page = reader.page(batch)
        judging.take(page)
        profiler.take(page)
        _add(unreadable, page.unreadable)
        _add(misplaced, page.misplaced)
        progress(input_name, unreadable.looked)
    judging.finish()
    profile = profiler.finish(sampling.whole(unreadable.looked))
    measured = Measured(
        judging.tallies, judging.expectations, unreadable, misplaced, profile, baseline[1], clock.now_us()
    )
    found = findings_of(rules, measured)
    return Checked(input_name, what, "", round(time.monotonic() - began_s, 3), baseline[0], profile, found)


def _add(total: Tally, tally: Tally) -> None:
    total.add(tally.looked, tally.unexpected, tally.samples)
