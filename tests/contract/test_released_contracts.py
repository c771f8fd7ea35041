"""Every contract fits what was released of it: a change that breaks readers or writers needs a version that says so."""

from __future__ import annotations

import pytest

from instrument_cache.contract import load_contracts
from instrument_cache.contract.releases import release_problems, released
from local_stack.instance import PROJECT

FOLDER = PROJECT / "contracts"
CONTRACTS = load_contracts(FOLDER)


@pytest.mark.parametrize("dataset", CONTRACTS)
def test_a_contract_fits_its_releases(dataset: str) -> None:
    problems = release_problems(CONTRACTS[dataset], released(FOLDER, dataset))
    assert not problems, "\n".join([f"contracts/{dataset}.yaml:", *problems])


def test_only_datasets_that_there_are_have_releases() -> None:
    assert {path.name for path in (FOLDER / "released").iterdir()} == set(CONTRACTS)
