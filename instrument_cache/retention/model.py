"""What is to be removed, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What an item is."""

    REPORT = "reports"
    DATA_DOCS = "data_docs"
    PROFILE = "quality_profiles"
    ARCHIVE = "dead_letter_archives"
    RELEASE = "releases"
    STATE = "job_states"
    SCRATCH = "scratch_folders"


class Item(msgspec.Struct, frozen=True):
    """One thing that aged out. `name`: an object, a folder of objects (ends with `/`) or a folder of this machine."""

    kind: Kind
    name: str
    why: str


class Removed(msgspec.Struct):
    """What one run came to. `locked`: items of which a lock kept something; `waiting`: old reports that no link of the
    audit trail names yet, which are kept until one does."""

    dry_run: bool
    items: list[Item]
    locked: list[str]
    waiting: int

    @property
    def sentence(self) -> str:
        """One line for people."""
        counts = ", ".join(f"{count} {kind}" for kind, count in counts_of(self.items).items()) or "nothing"
        locked = f"; a lock kept {len(self.locked)} of them" if self.locked else ""
        return f"{'would remove' if self.dry_run else 'removed'} {counts}{locked}"


def counts_of(items: Sequence[Item]) -> dict[str, int]:
    """Kind → how many."""
    return dict(sorted(Counter(str(item.kind) for item in items).items()))
