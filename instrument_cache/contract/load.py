"""Contract files → contracts: one file, or a folder whose contracts must not get in each other's way."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from instrument_cache.contract.model import Contract
from instrument_cache.contract.parse import parse
from instrument_cache.contract.rules import check
from instrument_cache.errors import ContractError


def load_contract(path: Path) -> Contract:
    """Read a contract file.

    Raises ContractError, which names the file, the entry, its value, the rule and the way out, if the file is missing,
    malformed or contradicts itself.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
        contract = parse(document)
        check(contract)
    except FileNotFoundError:
        raise ContractError(f"contract {path} does not exist; ICACHE_CONTRACTS names the folder") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(f"contract {path} is not YAML: {error}; mend the place that it names") from error
    except ContractError as error:
        raise ContractError(f"contract {path}: {error}") from error
    return contract


def load_contracts(folder: Path) -> dict[str, Contract]:
    """Every `*.yaml` of a folder, by dataset, in the order of their names.

    Raises ContractError as `load_contract` does, and if two of them share a dataset id or a prefix of Redis keys, or
    if a file is not named after its dataset.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise ContractError(f"the folder {folder} holds no contract (NAME.yaml); ICACHE_CONTRACTS names the folder")
    contracts = [(path, load_contract(path)) for path in paths]
    _check_apart((path, f"dataset id {contract.dataset!r}") for path, contract in contracts)
    _check_apart((path, f"prefix {prefix!r}") for path, contract in contracts for prefix in prefixes(contract))
    for path, contract in contracts:
        if path.stem != contract.dataset:
            raise ContractError(
                f"contract {path} has id {contract.dataset!r}; a contract is found by its dataset: "
                f"name the file {contract.dataset}.yaml or set id: {path.stem}"
            )
    return {contract.dataset: contract for _, contract in contracts}


def prefixes(contract: Contract) -> tuple[str, ...]:
    """The prefixes of Redis keys that belong to a dataset: of its key and of its aliases."""
    return (contract.key_prefix, *(alias.prefix for alias in contract.aliases))


def _check_apart(claims: Iterable[tuple[Path, str]]) -> None:
    owners: dict[str, Path] = {}
    for path, claim in claims:
        owner = owners.setdefault(claim, path)
        if owner != path:
            raise ContractError(
                f"contract {path} has the {claim}, which {owner} has too; two datasets would write over each other: "
                "change one of the two"
            )


# In C it takes a tenth of the time, of which a task that does little had most in here.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(_Loader):  # type: ignore[misc]
    """YAML takes the last of two entries of one name without a word; a contract must not."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        for at, name in enumerate(names):
            if name in names[:at]:
                raise ContractError(f"the entry {name!r} stands there twice{node.value[at][0].start_mark}; keep one")
        return dict(super().construct_mapping(node, deep))
