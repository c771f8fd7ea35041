"""Gaps that the stream or the feed tells about: records that were passed over, and deletes that were held back."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from instrument_cache.account import Discrepancy
from instrument_cache.account_check import check_account
from instrument_cache.feed_state import FeedState
from instrument_cache.store.interface import VersionedStore


def gap_name(wrong: Iterable[Discrepancy], feed: FeedState | None) -> str:
    """A name of all gaps that are known now: the same gaps have the same. "" if there is none."""
    passed_over = [f"{gap.partition}:{gap.first}-{gap.end}" for gap in wrong if gap.kind == "gap"]
    refused = feed.sweep_refused if feed else 0
    names = [f"offsets-{crc32(' '.join(sorted(passed_over)).encode()):08x}"] if passed_over else []
    return ".".join([*names, *([f"refused-{refused}"] if refused else [])])


def find_gaps(store: VersionedStore, bootstrap: str, dataset: str, feed: FeedState | None) -> str:
    """The same, of this moment. Reads the log from the first hole of the account on.

    Raises StoreUnavailable or LogUnavailable.
    """
    return gap_name(check_account(store, bootstrap, dataset).wrong, feed)
