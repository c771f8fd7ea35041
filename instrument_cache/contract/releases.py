"""Released contracts, `released/DATASET/VERSION.yaml`: what readers and writers out there were built on.

A contract carries a semantic version: a change that breaks somebody raises the first number, any other the second.
"""

from __future__ import annotations

from pathlib import Path

from instrument_cache.contract.compatibility import compare
from instrument_cache.contract.load import load_contract
from instrument_cache.contract.model import Contract
from instrument_cache.contract.verdict import Change
from instrument_cache.errors import ContractError

Version = tuple[int, int, int]


def version_of(text: str) -> Version:
    """MAJOR.MINOR.PATCH as numbers."""
    major, minor, patch = map(int, text.split("."))
    return major, minor, patch


def released(folder: Path, dataset: str) -> dict[Version, Contract]:
    """The released contracts of a dataset, oldest first. `folder` is that of the contracts. Raises ContractError."""
    contracts = {}
    for path in (folder / "released" / dataset).glob("*.yaml"):
        contract = load_contract(path)
        if (contract.dataset, contract.version) != (dataset, path.stem):
            raise ContractError(
                f"{path} holds {contract.dataset} {contract.version}; a release stays as it was released"
            )
        contracts[version_of(contract.version)] = contract
    return dict(sorted(contracts.items()))


def release_problems(contract: Contract, releases: dict[Version, Contract]) -> list[str]:
    """Why a contract does not fit its releases: each names the field, whom the change breaks and how to mend it."""
    version = version_of(contract.version)
    place = f"released/{contract.dataset}/{contract.version}.yaml"
    older = [other for other in releases if other <= version]
    if releases and version < max(releases):
        return [f"version is {contract.version} and {_text(max(releases))} is released; versions only grow"]
    problems = []
    if older:
        base = releases[max(older)]
        changes = compare(base, contract)
        needed = needed_version(max(older), changes)
        if version < needed:
            problems = [_problem(change, base.version, _text(needed)) for change in changes]
    if not problems and version not in releases:
        problems = [f"version {contract.version} is not released; copy the file to {place} with the change itself"]
    return problems


def needed_version(base: Version, changes: list[Change]) -> Version:
    """The lowest version that may carry these changes."""
    if any(change.breaks for change in changes):
        return base[0] + 1, 0, 0
    return (base[0], base[1] + 1, 0) if changes else base


def _problem(change: Change, base: str, needed: str) -> str:
    way = f"{change.fix}; or raise version to {needed}" if change.fix else f"raise version to {needed}"
    return f"{change.entry}: {change.what} since {base}, which {_effect(change)}; {way}"


def _effect(change: Change) -> str:
    return change.verdict if change.breaks else "is compatible"


def _text(version: Version) -> str:
    return ".".join(map(str, version))
