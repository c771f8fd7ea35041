"""`icache backup`: copies of the cache in two regions. docs/backup.md says how to use it."""

from __future__ import annotations

import getpass
import json
import re
import signal
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from instrument_cache.backup.run import run_backup
from instrument_cache.backup.service import Backups
from instrument_cache.errors import BackupRefused, InstrumentCacheError
from instrument_cache.settings import Environment, environment
from local_stack.instance import Instance

console = Console(highlight=False)
_BEGAN: Final = re.compile(r"\d{8}T\d{6}Z")
_json: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def backup() -> None:
    """Backups of the cache. docs/backup.md is the operator's page."""


def _backups() -> Backups:
    """The instance's settings, for the dataset of the environment."""
    instance = Instance.from_environment()
    if not (instance.home / "secrets" / "backup_signing_key").exists():
        raise InstrumentCacheError(f"there is no stack in {instance.home}; `make up` starts one")
    dataset = environment().text("ICACHE_DATASET", "instruments")
    return Backups(Environment({**instance.settings(), "ICACHE_DATASET": dataset}))


class _Bars:
    """One bar for each step that tells how far it is."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done, total=max(total, done))


def _with_bars(quiet: bool, work: Callable[[_Bars], Any]) -> Any:
    # Told to end, it ends as after Ctrl-C: with its scratch Redis and its lock.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    columns = (TextColumn("{task.description:<8}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=quiet) as bar:
        return work(_Bars(bar))


@backup.command()
@click.option("--run-id", help="Go on with a run that was broken off; without it a new one begins.")
@click.option(
    "--accept-smaller", is_flag=True, help="Let it become good although it holds much less than the last one."
)
@click.option("--dry-run", is_flag=True, help="Only show what would happen.")
@_json
def run(run_id: str | None, accept_smaller: bool, dry_run: bool, as_json: bool) -> None:
    """Make a backup, prove it, level the regions and apply the retention. Exit code 1 if anything is missing."""
    backups = _backups()
    if dry_run:
        _show_plan(backups.plan(), as_json)
        return
    run_id = run_id or _new_run_id()
    report = _with_bars(as_json, lambda bars: run_backup(backups, run_id, _moment(run_id), accept_smaller, bars))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        console.print(f"[{'green' if report.ok else 'red'}]{report.sentence}[/]\nRun: {run_id}")
    sys.exit(0 if report.ok else 1)


def _show_plan(plan: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(plan, indent=2))
        return
    for name, value in plan.items():
        console.print(f"{name:<16} {value}")
    console.print("Nothing was written: this was a dry run.")


@backup.command("list")
@_json
def list_command(as_json: bool) -> None:
    """Every backup, the newest first: what it holds, where it lies, and whether it may be restored."""
    backups = _backups()
    rows = backups.listing()
    if as_json:
        print(json.dumps({"public_keys": backups.catalog.keys.public_keys, "backups": rows}, indent=2))
        return
    table = Table(box=None)
    for column in ("backup", "entries", "MB", "regions", "state"):
        table.add_column(column, justify="right" if column in ("entries", "MB") else "left")
    for row in rows:
        table.add_row(*_cells(row))
    console.print(table if rows else "There is no backup; `icache backup run` makes one.")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    colour = "green" if row["state"] == "good" else "red"
    size = f"{row['bytes'] / 1e6:.1f}" if row["bytes"] is not None else "?"
    return row["name"], str(row["entries"] or "?"), size, ", ".join(row["regions"]), f"[{colour}]{row['state']}[/]"


@backup.command()
@click.argument("name", required=False)
@click.option(
    "--accept-smaller", is_flag=True, help="Let it become good although it holds much less than the last one."
)
@click.option("--dry-run", is_flag=True, help="Prove it, but do not mark it.")
@_json
def verify(name: str | None, accept_smaller: bool, dry_run: bool, as_json: bool) -> None:
    """Restore a backup into a scratch Redis, compare key by key, and mark it as good. NAME: without it, the newest."""
    backups = _backups()
    name = name or next(iter(backups.catalog.names()), None)
    if name is None:
        raise BackupRefused("unknown", "there is no backup; `icache backup run` makes one")
    total = backups.entries(name)

    def prove(bars: _Bars) -> Any:
        compared = 0

        def progress(entries: int) -> None:
            nonlocal compared
            compared += entries
            bars("compare", compared, total)

        return backups.verify(name, progress)

    verified = _with_bars(as_json, prove)
    marked = [] if dry_run else backups.mark_good(verified, accept_smaller)
    if as_json:
        print(json.dumps({**msgspec.to_builtins(verified), "marked": marked}, indent=2))
        return
    console.print(f"{name}: {verified.compared} entries restored and equal, from {' and '.join(verified.regions)}.")


@backup.command()
@click.option("--deep", is_flag=True, help="Read every good backup in every region, and mend what is damaged.")
@click.option("--dry-run", is_flag=True, help="Only show what each region lacks.")
@_json
def copy(deep: bool, dry_run: bool, as_json: bool) -> None:
    """Give each region the good backups that it lacks. Exit code 1 if a region or a backup is left over."""
    backups = _backups()
    copied = backups.lacking(deep) if dry_run else backups.copy(_new_run_id(), deep)
    if as_json:
        print(json.dumps(msgspec.to_builtins(copied), indent=2))
    else:
        for region, names in copied.copied.items():
            console.print(f"{region} {'lacks' if dry_run else 'was given'} {len(names)}: {', '.join(names)}")
        for what, why in {**copied.missing, **copied.failed}.items():
            console.print(f"[red]{what}[/]: {why}")
        if not copied.copied:
            console.print("Every region that answers has all good backups.")
    sys.exit(1 if copied.missing or copied.failed else 0)


def _new_run_id() -> str:
    return f"cli-{getpass.getuser()}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"


def _moment(run_id: str) -> datetime:
    """When the run began: a second try of it makes the same backup."""
    found = _BEGAN.search(run_id)
    if found is None:
        raise InstrumentCacheError(f"{run_id!r} is no run of `icache backup run`, which prints its id")
    return datetime.strptime(found[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
