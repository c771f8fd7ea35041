"""Instruments that a drill fills its scratch Redis with: CUSIPs of the internal-use issuer 99, sized like real ones."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from stdnum import cusip

from instrument_cache.change import stored_value
from instrument_cache.contract import Contract
from instrument_cache.errors import DrillFailed

_SUMMARY_CHARACTERS: Final = (250, 450)


def drill_keys(count: int, contract: Contract) -> list[str]:
    """`count` CUSIPs, always the same. Raises DrillFailed for a dataset with other keys."""
    if contract.key.identifier != "cusip":
        raise DrillFailed(
            f"{contract.dataset} is kept by {contract.key.name}; a drill makes instruments with CUSIPs only"
        )
    bases = (f"99{number:06d}" for number in range(count))
    return [base + str(cusip.calc_check_digit(base)) for base in bases]


def drill_values(keys: Sequence[str], version: int, contract: Contract, chance: random.Random) -> Mapping[str, bytes]:
    """Full key → the bytes to store, under one version."""
    return {f"{contract.key_prefix}:{key}": _stored(key, version, contract, chance) for key in keys}


def _stored(key: str, version: int, contract: Contract, chance: random.Random) -> bytes:
    summary = "x" * chance.randint(*_SUMMARY_CHARACTERS)
    row = {contract.key.name: key, "name": f"Drill {key}", "currency": "USD", "summary": summary}
    return stored_value(version, msgspec.json.encode(row))
