"""`icache drill`: the drills of the DAGs `failover_drill` and `dr_drill`, from the shell. docs/drills.md says more."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from instrument_cache.drills.dr import STEPS, DrTargets
from instrument_cache.drills.failover import STEPS as FAILOVER_STEPS
from instrument_cache.drills.failover import FailoverPlan
from instrument_cache.drills.service import DR, FAILOVER, TREND, Drilled, Drills
from instrument_cache.drills.trend import trend, trend_text
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.reports import Report
from instrument_cache.settings import Environment
from local_stack.instance import Instance

console = Console(highlight=False, soft_wrap=True)
_PLAN: Final = FailoverPlan()
_TARGETS: Final = DrTargets()
_OPERATIONS: Final = {"failover": FAILOVER, "dr": DR}
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def drill() -> None:
    """Take something away from a scratch copy, and measure what readers and writers see."""


@drill.command()
@click.option("--instruments", default=_PLAN.instruments, show_default=True, type=click.IntRange(100, 200_000))
@click.option(
    "--writes", "writes_per_s", default=_PLAN.writes_per_s, show_default=True, type=click.IntRange(10, 20_000)
)
@click.option("--reads", "reads_per_s", default=_PLAN.reads_per_s, show_default=True, type=click.IntRange(2, 5000))
@_dry_run
@_json
def failover(instruments: int, writes_per_s: int, reads_per_s: int, dry_run: bool, as_json: bool) -> None:
    """Kill the primary of a scratch Sentinel group under load. Exit code 1 if a target was missed."""
    plan = FailoverPlan(instruments=instruments, writes_per_s=writes_per_s, reads_per_s=reads_per_s)
    drills = _drills()
    if dry_run:
        _show(msgspec.to_builtins(plan), as_json)
        return
    with _progress(as_json) as bar:
        task = bar.add_task("failover", total=FAILOVER_STEPS)
        done = drills.failover(_run_id(), plan, lambda step: bar.update(task, advance=1, description=step))
    _report(drills, done, as_json)


@drill.command()
@click.option("--region", type=click.Choice(["second", "first"]), default="second", show_default=True)
@click.option("--rto", "rto_s_max", default=_TARGETS.rto_s_max, show_default=True, type=click.FloatRange(min=1))
@click.option("--rpo", "rpo_s_max", default=_TARGETS.rpo_s_max, show_default=True, type=click.FloatRange(min=0))
@click.option(
    "--backup-age", "backup_age_s_max", default=_TARGETS.backup_age_s_max, show_default=True, type=click.FloatRange(1)
)
@_dry_run
@_json
def dr(region: str, rto_s_max: float, rpo_s_max: float, backup_age_s_max: float, dry_run: bool, as_json: bool) -> None:
    """Build a second region from a backup. Targets are in seconds. Exit code 1 if one was missed."""
    targets, drills = DrTargets(rto_s_max, rpo_s_max, backup_age_s_max), _drills()
    if dry_run:
        backup = drills.backup_for_dr(region)
        found = {"backup": backup.name, "started_at": backup.started_at, "entries": backup.entries, "region": region}
        _show({**found, **msgspec.to_builtins(targets)}, as_json)
        return
    with _progress(as_json) as bar:
        task = bar.add_task("dr", total=STEPS)
        done = drills.dr(_run_id(), targets, region, lambda step: bar.update(task, advance=1, description=step))
    _report(drills, done, as_json)


@drill.command("trend")
@click.argument("name", type=click.Choice(sorted(_OPERATIONS)))
@click.option("-n", "--runs", default=10, show_default=True, type=click.IntRange(1, 1000))
@_json
def trend_command(name: str, runs: int, as_json: bool) -> None:
    """How a drill did in its last runs."""
    operation = _OPERATIONS[name]
    rows = trend(_drills().reports(operation, runs), TREND[operation])
    print(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode() if as_json else trend_text(rows))


def _drills() -> Drills:
    instance = Instance.from_environment()
    if not (instance.home / "secrets" / "redis_password").exists():
        raise InstrumentCacheError(f"there is no stack in {instance.home}; `make up` starts one")
    return Drills(Environment(instance.settings()))


def _run_id() -> str:
    return f"shell__{datetime.now(UTC).isoformat(timespec='seconds')}"


def _progress(as_json: bool) -> Progress:
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=console, disable=as_json)


def _report(drills: Drills, done: Drilled, as_json: bool) -> None:
    report = drills.publish(done)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        _print(report)
    sys.exit(0 if report.ok else 1)


def _print(report: Report) -> None:
    _show(report.numbers, as_json=False)
    console.print(f"[{'green' if report.ok else 'red'}]{report.sentence}[/]")
    if report.details["trend"]:
        console.print("\nBefore:\n" + trend_text(report.details["trend"]), markup=False)


def _show(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(values), indent=2).decode())
        return
    table = Table(box=None, show_header=False)
    for name, value in values.items():
        table.add_row(name, f"{value:g}" if isinstance(value, float) else str(value))
    console.print(table)
