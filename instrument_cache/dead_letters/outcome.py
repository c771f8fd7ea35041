"""What became of one letter in a replay, and what each outcome means for the next one."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class ReplayOutcome(StrEnum):
    """In a plan, `applied` means that it would be."""

    APPLIED = "applied"  # the store holds it
    DUPLICATE = "duplicate"  # the store held it before
    STALE = "stale"  # the store holds something newer
    SUPERSEDED = "superseded"  # another letter of the same replay is newer
    EXPIRED = "expired"  # its time to live is over, or the letter is older than the longest replay
    REJECTED = "rejected"  # it still breaks a rule
    UNPATCHABLE = "unpatchable"  # the patch does not fit it
    FOREIGN = "foreign"  # no job wrote it, or it is the feed's own canary: not replayed
    UNKNOWN = "unknown"  # written, or perhaps written, and its outcome was not seen
    NOT_REACHED = "not_reached"  # the replay ended before it


# After these there is nothing left to do for a letter.
SETTLED: Final = frozenset(
    {
        ReplayOutcome.APPLIED,
        ReplayOutcome.DUPLICATE,
        ReplayOutcome.STALE,
        ReplayOutcome.SUPERSEDED,
        ReplayOutcome.EXPIRED,
    }
)


class LetterOutcome(msgspec.Struct):
    """One line of a plan and of the audit record.

    `position` and `identity` are the letter's, `code` is why it was rejected, `written_at` where the replayed record
    stands.
    """

    position: str
    identity: str
    code: str
    key: str | None
    outcome: ReplayOutcome
    detail: str = ""
    written_at: str | None = None
