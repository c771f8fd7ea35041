"""`icache reconcile`: compare the cache with its source and repair it. docs/reconcile.md says how to use it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from instrument_cache.errors import InstrumentCacheError
from instrument_cache.reconcile.model import Progress as Tell
from instrument_cache.reconcile.plan import Order, Plan
from instrument_cache.reconcile.service import Reconcile
from instrument_cache.reconcile.table import lines
from instrument_cache.settings import Environment, environment
from local_stack.instance import Instance

console = Console(highlight=False, soft_wrap=True, stderr=True)
_DEFAULT = Order()


@click.command()
@click.option("--dry-run", is_flag=True, help="Compare and report; repair nothing.")
@click.option("--approve", is_flag=True, help="Repair without asking, whatever the reason to ask would be.")
@click.option("--budget", default=_DEFAULT.budget, show_default=True, help="More repairs than this need an approval.")
@click.option(
    "--lost-percent-max",
    default=_DEFAULT.lost_percent_max,
    show_default=True,
    help="If the source lost more than this share, or more would be removed, it asks.",
)
@click.option("--shards", default=_DEFAULT.shards, show_default=True, help="Parts of the key space.")
@click.option("--grace-s", default=_DEFAULT.grace_s, show_default=True, help="How long the stream may take.")
@click.option("--effort-percent", default=_DEFAULT.effort_percent, show_default=True, help="Share of time at work.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def reconcile(approve: bool, as_json: bool, **order: Any) -> None:
    """Compare every key with the source and repair what differs. Exit code 1 if something is left."""
    service = Reconcile(_settings())
    run_id = f"shell-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
    with _progress() as tell:
        plan = service.compare(run_id, Order(**order), tell)
    if approve or not plan.reasons or _agrees(plan):
        with _progress() as tell:
            service.repair(run_id, approved=True, progress=tell)
    report = service.report(run_id)
    service.retain()
    print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() if as_json else "\n".join(lines(report)))
    sys.exit(0 if report.ok else 1)


def _settings() -> Environment:
    instance = Instance.from_environment()
    if not (instance.home / "secrets" / "s3_secret_key").exists():
        raise InstrumentCacheError(f"there is no stack in {instance.home}; `make up` starts one")
    dataset = environment().text("ICACHE_DATASET", "instruments")
    return Environment({**instance.settings(), "ICACHE_DATASET": dataset})


def _agrees(plan: Plan) -> bool:
    """What nobody can be asked is refused."""
    for reason in plan.reasons:
        console.print(f"[red]{reason}[/red]")
    if plan.order.dry_run or not sys.stdin.isatty():
        return False
    return click.confirm(f"Repair {sum(plan.kinds.values()):,} keys?", err=True)


@contextmanager
def _progress() -> Iterator[Tell]:
    columns = TextColumn("{task.description:<14}"), BarColumn(), TextColumn("{task.completed:,}"), TimeElapsedColumn()
    with Progress(*columns, console=console) as bars:
        tasks = {}

        def tell(phase: str, done: int, total: int | None) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done, total=total)

        yield tell
