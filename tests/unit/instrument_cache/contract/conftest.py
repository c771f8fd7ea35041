"""Contracts that differ from a good one in one place."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from instrument_cache.contract import Contract, load_contract

CONTRACTS = Path(__file__).parents[4] / "contracts"
Edit = Callable[[dict[str, Any]], object]


def document() -> dict[str, Any]:
    """The contract of the issuers, as data."""
    return copy.deepcopy(yaml.safe_load((CONTRACTS / "issuers.yaml").read_text()))


def field(contract: dict[str, Any], name: str) -> dict[str, Any]:
    """The property of that name, which an edit may change."""
    found: dict[str, Any] = next(entry for entry in contract["schema"][0]["properties"] if entry["name"] == name)
    return found


def custom(entry: dict[str, Any], name: str, value: object) -> None:
    """Set a custom property, or add it."""
    items = [item for item in entry.get("customProperties", []) if item["property"] != name]
    entry["customProperties"] = [*items, {"property": name, "value": value}]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Edit], Path]:
    """write(edit) → the file of an edited contract."""

    def edited(edit: Edit) -> Path:
        contract = document()
        edit(contract)
        path = tmp_path / "issuers.yaml"
        path.write_text(yaml.safe_dump(contract))
        return path

    return edited


@pytest.fixture
def load(write: Callable[[Edit], Path]) -> Callable[[Edit], Contract]:
    """load(edit) → the edited contract, read from its file."""
    return lambda edit: load_contract(write(edit))
