"""`icache audit`: the chain of everything that was reported and approved. docs/audit.md says how to use it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from instrument_cache.audit.entry import Entry
from instrument_cache.audit.service import Audit
from instrument_cache.audit.verify import Verified
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.settings import Environment, environment
from local_stack.commands.moment import MOMENT
from local_stack.instance import Instance

console = Console(highlight=False, soft_wrap=True)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def audit() -> None:
    """The audit trail: reports and approvals, chained so that every alteration shows."""


def _audit() -> Audit:
    """The instance's settings, for the dataset of the environment."""
    instance = Instance.from_environment()
    if not (instance.home / "secrets" / "backup_signing_key").exists():
        raise InstrumentCacheError(f"there is no stack in {instance.home}; `make up` starts one")
    dataset = environment().text("ICACHE_DATASET", "instruments")
    return Audit(Environment({**instance.settings(), "ICACHE_DATASET": dataset}))


@audit.command()
@_json
def verify(as_json: bool) -> None:
    """Look at every entry and report in both regions. Exit code 1 if anything is not as it was chained."""
    with _progress(as_json) as bar:
        task = bar.add_task("reports", total=None)
        found = _audit().verify(lambda done, total: bar.update(task, completed=done, total=total))
    _print_json(found) if as_json else _print_verified(found)
    sys.exit(0 if found.ok else 1)


def _print_verified(found: Verified) -> None:
    for finding in found.findings:
        console.print(f"[red]{finding.what}[/] {finding.problem}")
    console.print(f"[{'green' if found.ok else 'red'}]{found.sentence}[/]")
    console.print(f"Newest entry: SHA-256 {found.head}; chained late: {found.late}")


@audit.command("list")
@click.option("--kind", help="Only this kind, such as backup or approval.")
@click.option("--from", "first", type=MOMENT, help="Chained from this time on: 2025-11-21T18:00 (UTC), or 7d ago.")
@click.option("--to", "last", type=MOMENT, help="Chained before this time.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Show the newest ones.")
@_json
def list_command(kind: str | None, first: int | None, last: int | None, limit: int, as_json: bool) -> None:
    """The entries, the newest last."""
    entries = _audit().entries(kind, _moment(first), _moment(last))
    if as_json:
        _print_json({"total": len(entries), "entries": entries[-limit:]})
        return
    table = Table(box=None)
    for column in ("entry", "chained at", "kind", "", "what it says"):
        table.add_column(column)
    for entry in entries[-limit:]:
        table.add_row(*_row(entry))
    console.print(table)
    console.print(f"{min(limit, len(entries))} of {len(entries)} entries.")


def _row(entry: Entry) -> tuple[str, ...]:
    state = f"[{'green]good' if entry.ok else 'red]bad'}[/]" + (" late" if entry.late else "")
    return str(entry.number), entry.at[:19], entry.kind, state, entry.sentence


@audit.command()
@click.argument("which", metavar="NUMBER|NAME")
@_json
def show(which: str, as_json: bool) -> None:
    """One entry and its report, by its number or a part of the report's name."""
    trail = _audit()
    entry = trail.entry(which)
    body = trail.body(entry)
    if as_json:
        _print_json({"entry": entry, "report": body.decode(errors="replace")})
        return
    for name, value in msgspec.to_builtins(entry).items():
        console.print(f"{name:<10} {value}", markup=False)
    print(body.decode(errors="replace"))


@audit.command()
@click.option("--from", "first", type=MOMENT, required=True, help="Chained from this time on.")
@click.option("--to", "last", type=MOMENT, help="Chained before this time; without it, until now.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("audit"), show_default=True)
def export(first: int, last: int | None, out: Path) -> None:
    """Write OUT.html and OUT.pdf for an auditor: the evidence, and how to check it without us."""
    from instrument_cache.audit.export import export as collect
    from instrument_cache.audit.export_html import as_html
    from instrument_cache.audit.export_pdf import as_pdf

    trail = _audit()
    with _progress(False) as bar:
        task = bar.add_task("entries", total=None)
        until = _moment(last) or datetime.now(UTC)
        found = collect(trail, _time(first), until, lambda done, total: bar.update(task, completed=done, total=total))
    out.with_suffix(".html").write_text(as_html(found), encoding="utf-8")
    out.with_suffix(".pdf").write_bytes(as_pdf(found))
    console.print(f"{len(found.evidence)} entries in {out.with_suffix('.html')} and {out.with_suffix('.pdf')}.")
    if not found.verified.ok:
        console.print(f"[red]{found.verified.sentence}[/]")
        sys.exit(1)


@audit.command()
@_json
def settle(as_json: bool) -> None:
    """Chain the reports that wait because S3 was away, and bring each region the links that it lacks."""
    done = _audit().settle()
    if as_json:
        _print_json(done)
    else:
        for name in done.chained:
            console.print(name, markup=False)
        console.print(done.sentence)
    sys.exit(1 if done.missing else 0)


def _moment(time_us: int | None) -> datetime | None:
    return None if time_us is None else _time(time_us)


def _time(time_us: int) -> datetime:
    return datetime.fromtimestamp(time_us / 1_000_000, UTC)


def _progress(quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}"))
    return Progress(*columns, console=console, disable=quiet, transient=True)


def _print_json(document: Any) -> None:
    print(json.dumps(msgspec.to_builtins(document), indent=2))
