"""`icache account`: what became of every record, by partition. docs/promises.md says what it proves."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from instrument_cache.account import totals
from instrument_cache.account_check import AccountReport, check_account
from instrument_cache.connections import redis_client
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.store.redis import RedisStore
from local_stack.instance import DATASET, Instance

console = Console(highlight=False, soft_wrap=True)
_COLUMNS = ("start", "next", "applied", "duplicate", "stale", "superseded", "rejected", "skipped", "replayed")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def account(as_json: bool) -> None:
    """What became of every record, by partition, against the log. Exit code 1 if anything is wrong."""
    instance = Instance.from_environment()
    if not (instance.home / "secrets" / "redis_password").exists():
        raise InstrumentCacheError(f"there is no stack in {instance.home}; `make up` starts one")
    store = RedisStore(redis_client(instance.redis_url, name="account"), DATASET)
    report = check_account(store, instance.kafka, DATASET)
    print(json.dumps(as_dict(report), indent=2)) if as_json else _show(report)
    sys.exit(1 if report.wrong else 0)


def as_dict(report: AccountReport) -> dict[str, Any]:
    """{"partitions": {partition: account with "behind"}, "totals": {…}, "wrong": [discrepancy, …]}."""
    return {
        "partitions": {
            partition: {**msgspec.to_builtins(held), "behind": report.behind(partition)}
            for partition, held in report.accounts.items()
        },
        "totals": totals(report.accounts),
        "wrong": [found._asdict() for found in report.wrong],
    }


def _show(report: AccountReport) -> None:
    table = Table(box=None)
    for column in ("partition", *_COLUMNS, "behind"):
        table.add_column(column, justify="right")
    for partition, held in report.accounts.items():
        figures = [getattr(held, column) for column in _COLUMNS]
        table.add_row(str(partition), *(f"{figure:,}" for figure in figures), f"{report.behind(partition):,}")
    console.print(table)
    for found in report.wrong:
        console.print(f"[red]{found.kind}[/red]: {found.text}")
    if not report.wrong:
        console.print("Right: next - start = applied + duplicate + stale + superseded + rejected + skipped.")
