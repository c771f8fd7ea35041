"""A restore that stops after each chunk, to be killed there: `python -m tests.integration.restore.interrupted PLAN`.

It prints a line once the first chunk is written, and then waits for its end.
"""

from __future__ import annotations

import sys
import time

import msgspec

from instrument_cache.restore import offering
from instrument_cache.restore.counts import Counts
from instrument_cache.restore.plan import Plan
from instrument_cache.restore.service import Restores


def main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    offering.ENTRIES_PER_OFFER = 100  # type: ignore[misc]

    def hang(counts: Counts) -> None:
        print(counts.read, flush=True)
        time.sleep(60)

    Restores(settle_s=0).restore(plan, hang)


if __name__ == "__main__":
    main()
