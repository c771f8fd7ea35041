"""A dataset's contract (Open Data Contract Standard): which fields are kept, what identifies and orders a record."""

from __future__ import annotations

from instrument_cache.contract.load import load_contract, load_contracts
from instrument_cache.contract.model import Alias, Contract, Field, QualityRule, VersionUnit

__all__ = ["Alias", "Contract", "Field", "QualityRule", "VersionUnit", "load_contract", "load_contracts"]
