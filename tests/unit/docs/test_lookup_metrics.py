"""docs/metrics.md has a row for every metric of the lookup service, with its type and its labels."""

from __future__ import annotations

import re

from lookup_app.metric_families import GAUGES, FamilyCollector
from lookup_app.metric_snapshot import BUCKETS_S, Snapshot
from tests.unit.docs.pages import DOCS

ROWS = re.findall(r"^\| `(instrument_cache_\w+)` \| (\w+) \| (.*?) \|", (DOCS / "metrics.md").read_text(), re.MULTILINE)


def exported() -> dict[str, tuple[str, set[str]]]:
    """Name as it is scraped → type and labels."""
    cells = [0.0] * (len(BUCKETS_S) + 2)
    gauges = {gauge.name: 1.0 for gauge in GAUGES}
    snapshot = Snapshot(1, [(("d", "r", "ok", 200), cells)], [(("d", "hit"), 1)], gauges)
    found = {}
    for family in FamilyCollector(lambda: snapshot).collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = (family.type, {label for sample in family.samples for label in sample.labels} - {"le"})
    return found


def test_every_metric_has_a_row_with_its_type_and_labels() -> None:
    assert {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROWS} == exported()
