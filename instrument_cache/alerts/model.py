"""What people are told."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """FAILED: a run was red. MISSED: no run was green in time. RESOLVED: a run is green after one of these."""

    FAILED = "failed"
    MISSED = "missed"
    RESOLVED = "resolved"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `tier` is that of the operation, 1 (worst) to 3; `url` leads to the run, or is ""."""

    dataset: str
    operation: str
    tier: int
    kind: Kind
    sentence: str
    run_id: str = ""
    url: str = ""

    @property
    def title(self) -> str:
        """The first line of any message."""
        return f"[tier {self.tier}] {self.operation} of {self.dataset}: {self.kind}"

    @property
    def incident(self) -> str:
        """The same for all that is said of one trouble, so that receivers can tell that it is one."""
        return f"instrument-cache/{self.dataset}/{self.operation}"

    @property
    def runbook(self) -> str:
        """Where it says what to do."""
        return f"docs/runbook/{self.operation}.md"

    @property
    def text(self) -> str:
        """The whole message."""
        lines = [self.title, self.sentence, f"Run: {self.run_id}" if self.run_id else "", self.url]
        return "\n".join(line for line in (*lines, f"What to do: {self.runbook}") if line)
