"""Everything that is wrong with a folder of contracts, and not only the first of it."""

from __future__ import annotations

from pathlib import Path

from instrument_cache.contract.load import load_contract, load_contracts
from instrument_cache.contract.releases import release_problems, released
from instrument_cache.errors import ContractError


def folder_problems(folder: Path) -> list[str]:
    """One sentence per problem: of each file, of the files together, and of each contract with its releases."""
    problems = [problem for path in sorted(folder.glob("*.yaml")) for problem in _of_file(path)]
    if problems:
        return problems
    try:
        contracts = load_contracts(folder)
        return [
            f"contract {folder / dataset}.yaml: {problem}"
            for dataset, contract in contracts.items()
            for problem in release_problems(contract, released(folder, dataset))
        ]
    except ContractError as error:
        return [str(error)]


def _of_file(path: Path) -> list[str]:
    try:
        load_contract(path)
    except ContractError as error:
        return [str(error)]
    return []
