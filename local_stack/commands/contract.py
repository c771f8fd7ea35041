"""`icache contract`: is a contract right, whom does a change break, and the page that says what a dataset is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from instrument_cache.avro_schema import envelope_schema, subject
from instrument_cache.contract import load_contract, load_contracts
from instrument_cache.contract.check import folder_problems
from instrument_cache.contract.compatibility import compare
from instrument_cache.contract.documentation import documentation
from instrument_cache.contract.model import Contract
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.schema_registry import registry_of
from instrument_cache.settings import Environment, contract_path, environment
from local_stack.instance import PROJECT, Instance

console = Console(highlight=False)
PAGE: Final = PROJECT / "docs" / "contracts.md"
# Both sides of the log: who reads with any released schema takes what is written with any other.
_COMPATIBILITY: Final = "FULL_TRANSITIVE"


@click.group()
def contract() -> None:
    """Check, compare and document the contracts. docs/contracts.md says how to change one."""


@contract.command()
def check() -> None:
    """Check every contract and its releases. Exit code 1 with a list of what is wrong."""
    folder = contract_path().parent
    problems = folder_problems(folder)
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    print(f"{', '.join(load_contracts(folder))}: no problems.")


@contract.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
def diff(old: Path, new: Path) -> None:
    """What changed between two contract files, and whom it breaks. Exit code 1 if it breaks anybody."""
    changes = compare(load_contract(old), load_contract(new))
    if not changes:
        print("No change.")
        return
    table = Table(box=None)
    for column in ("entry", "change", "verdict", "how to mend it"):
        table.add_column(column, overflow="fold")
    for change in changes:
        colour = "red" if change.breaks else "green"
        table.add_row(change.entry, change.what, f"[{colour}]{change.verdict}[/{colour}]", change.fix)
    console.print(table)
    sys.exit(1 if any(change.breaks for change in changes) else 0)


@contract.command()
def docs() -> None:
    """Write docs/contracts.md anew."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Wrote {PAGE}.")


def page() -> str:
    """What docs/contracts.md must say: the project's own contracts, whatever ICACHE_CONTRACTS names."""
    return documentation(load_contracts(PROJECT / "contracts").values())


@contract.command()
@click.argument("dataset")
@click.option("--register", is_flag=True, help="Register it with the schema registry and print its id.")
def avro(dataset: str, register: bool) -> None:
    """Print the Avro schema of a dataset's change records."""
    variables = {**environment().variables, "ICACHE_DATASET": dataset}
    found = load_contract(contract_path(Environment(variables)))
    if register:
        print(_register(found))
    else:
        print(json.dumps(envelope_schema(found), indent=2, ensure_ascii=False))


def _register(found: Contract) -> int:
    registry = registry_of(_with_stack(), timeout_s=10)
    if registry is None:
        raise InstrumentCacheError(
            "no schema registry is known; set ICACHE_SCHEMA_REGISTRY_URL, or run `icache up --with schema-registry`"
        )
    schema_id = registry.register(subject(found), envelope_schema(found))
    registry.set_compatibility(subject(found), _COMPATIBILITY)
    return schema_id


def _with_stack() -> Environment:
    """The environment, and the address of the stack's own registry if it runs one and nothing else is set."""
    own = Instance.from_environment().registry_setting()
    return Environment({**own, **environment().variables})
