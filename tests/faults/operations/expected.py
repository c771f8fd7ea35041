"""By which part of the doctor, and of the page, each fault of an operation is named, and what the sentence says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_PERSON: Final = ("operations", "a person")
# The end of a fault's name → part and sentence, as regular expressions.
_EXPECTED: Final[Mapping[str, tuple[str, str]]] = {
    "kill-(scheduler|while-it-asks)": ("airflow|airflow-scheduler|airflow-triggerer", "was started again|is unhealthy"),
    "kill-worker": ("operations", "who had started it was gone|broke off in .* its process ended without a word"),
    r"kill-[a-z-]+": ("operations", "broke off in .* its process ended without a word"),
    "s3-away": ("s3:first|s3:second|operations", "S3 .*"),
    "s3-slow": ("s3:first|s3:second", "to list its bucket"),
    "s3-denied": ("operations", "failed in .*(SignatureDoesNotMatch|S3)"),
    "own-region-away": ("s3:first", "S3 .*"),
    "other-region-away": ("s3:second", "S3 .*"),
    "redis-failover": ("redis|sentinel", "does not answer|new connections|made the primary"),
    "clock-fast": ("operations", "the clock of .* ahead of Redis's"),
    "clock-slow": ("operations", "the clock of .* behind Redis's"),
    "scratch-full": ("disk|operations", "are free on the disk|failed in .*(No space left|scratch)"),
    "source-away": ("source|operations", "SourceUnavailable|(?i:source)"),
    "source-cut": ("operations", "failed in compare .*SourceUnavailable"),
    "source-empty": _PERSON,
    "source-half": _PERSON,
    "differences-many": _PERSON,
}


def expected_of(fault: str) -> tuple[str, str]:
    """Of a fault, which is named OPERATION-END. AssertionError for one that is not in the table."""
    found = [expected for end, expected in _EXPECTED.items() if re.fullmatch(rf"[a-z-]+?-{end}", fault)]
    assert found, f"nothing is known of how {fault!r} is named"
    return found[0]
