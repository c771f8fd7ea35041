"""Runs in Feast's own environment: makes a repository in FOLDER and puts the instruments of FILE into its online store.

python feast_repository.py FOLDER FILE REDIS_ADDRESS
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import yaml
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Int64, String

TEXTS = ("pme", "isin", "figi", "symbol", "name", "currency")
_PAGE = 5000


def main(folder: Path, file: Path, address: str) -> None:
    config = {
        "project": "benchmark",
        "provider": "local",
        "registry": str(folder / "registry.db"),
        "online_store": {"type": "redis", "connection_string": address},
        "offline_store": {"type": "file"},
        "entity_key_serialization_version": 3,
    }
    (folder / "feature_store.yaml").write_text(yaml.safe_dump(config))
    rows = pd.read_json(file, lines=True, dtype=False)
    rows = rows.drop(columns=["v"]).assign(event_timestamp=datetime.now(UTC))
    rows[list(TEXTS)] = rows[list(TEXTS)].fillna("").astype(str)
    rows.head(1).to_parquet(folder / "rows.parquet")
    store = FeatureStore(repo_path=str(folder))
    store.apply(list(_definitions(folder)))
    for at in range(0, len(rows), _PAGE):
        store.write_to_online_store("instrument", rows.iloc[at : at + _PAGE])


def _definitions(folder: Path) -> Iterator[Entity | FeatureView]:
    entity = Entity(name="cusip", join_keys=["cusip"], value_type=ValueType.STRING)
    source = FileSource(path=str(folder / "rows.parquet"), timestamp_field="event_timestamp")
    schema = [Field(name=name, dtype=String) for name in ("cusip", *TEXTS)] + [Field(name="last_updated", dtype=Int64)]
    yield entity
    yield FeatureView(name="instrument", entities=[entity], schema=schema, source=source)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
