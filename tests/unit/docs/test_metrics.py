"""docs/metrics.md has a row for every metric of the exporter, with its type and its labels."""

from __future__ import annotations

import re

from tests.unit.docs.pages import DOCS
from tests.unit.exporter.scene import collector

TEXT = (DOCS / "metrics.md").read_text()
ROWS = re.findall(r"^\| `(icache_\w+)` \| (\w+) \| (.*?) \|", TEXT, re.MULTILINE)


def exported() -> dict[str, tuple[str, set[str]]]:
    """Name as it is scraped → type and labels."""
    found = {}
    for family in collector().collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"dataset", "le"}
        found[name] = (family.type, labels)
    return found


def test_every_metric_has_a_row_and_every_row_is_a_metric() -> None:
    assert {name for name, _, _ in ROWS} == set(exported())
    assert len(ROWS) == len(exported())


def test_rows_say_type_and_labels() -> None:
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROWS}
    assert documented == exported()


def test_every_metric_has_the_dataset() -> None:
    for family in collector().collect():
        assert all(sample.labels["dataset"] == "issuers" for sample in family.samples), family.name


def test_alarms_are_on_metrics_that_there_are() -> None:
    alarms = TEXT.partition("## What to alarm on")[2]
    assert set(re.findall(r"icache_\w+", alarms)) <= set(exported())
