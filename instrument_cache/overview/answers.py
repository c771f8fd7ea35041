"""What the parts answered at one look, and the tile of one that did not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from instrument_cache.asking.parts import Away
from instrument_cache.overview.model import Tile

T = TypeVar("T")
# Part → its name for people, and what brings it back.
PARTS: Final = {
    "redis": ("Redis", "See `icache status` and `icache logs redis`, then `icache restart redis`."),
    "kafka": ("Kafka", "See `icache status` and `icache logs kafka`, then `icache restart kafka`."),
    "flink": (
        "Flink",
        "See `icache status` and `icache logs flink-jobmanager`, then `icache restart` it.",
    ),
    "feed": ("The feed", "See `icache logs feed`, then `icache restart feed`."),
    "reports": ("The reports in S3", "See `icache status` and `icache logs s3`, then `icache restart s3`."),
}


@dataclass(frozen=True)
class Answers:
    """Part → what it answered, or Away, at `now` (UTC)."""

    by_part: Mapping[str, Any]
    now: datetime

    def of(self, part: str, kind: type[T]) -> T | None:
        """The answer of a part; None if there is none."""
        found = self.by_part.get(part)
        return found if isinstance(found, kind) else None

    def away(self) -> list[Tile]:
        """A red tile for each part that did not answer."""
        return [_away(part, found) for part, found in self.by_part.items() if isinstance(found, Away)]


def _away(part: str, found: Away) -> Tile:
    title, mend = _words(part)
    return Tile(
        part=part,
        title=title,
        severity="red",
        value="does not answer",
        sentence=found.why,
        mend=mend,
    )


def _words(part: str) -> tuple[str, str]:
    region = part.removeprefix("backup:")
    if region != part:
        return f"Backups in the {region} region", f"See `icache status`: is the S3 of the {region} region up?"
    return PARTS[part]
