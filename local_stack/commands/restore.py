"""`icache restore` and `icache epoch`. docs/restore.md says how to use them."""

from __future__ import annotations

import getpass
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from instrument_cache.connections import redis_client
from instrument_cache.epoch import Epoch, read_epoch, unpin
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.restore.catch_up import CaughtUp
from instrument_cache.restore.counts import Counts
from instrument_cache.restore.plan import Plan
from instrument_cache.restore.request import ANY_REGION, Mode, RestoreRequest, restore_request
from instrument_cache.restore.service import Restores
from instrument_cache.settings import Environment, environment, redis_url
from local_stack.commands.moment import MOMENT
from local_stack.instance import Instance

console = Console(highlight=False)
_json: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@dataclass(frozen=True)
class _Asked:
    """The options of one call."""

    request: RestoreRequest
    dry_run: bool
    yes: bool
    as_json: bool


@click.command()
@click.argument("backup", required=False, default="")
@click.option(
    "--as-of", type=MOMENT, help="The newest good backup finished by then: 2025-11-21T18:00 (UTC), or 90m ago."
)
@click.option("--key", "keys", multiple=True, help="Only this instrument; may be repeated.")
@click.option("--first", default="", help="Only keys from this one on.")
@click.option("--last", default="", help="Only keys up to this one.")
@click.option("--region", default=ANY_REGION, show_default=True, help="Whose copy to read first: first, second.")
@click.option("--roll-back", is_flag=True, help="Overwrite newer data too, in a new epoch.")
@click.option("--reason", default="", help="One line; needed to roll back.")
@click.option("--run-id", default="", help="Go on with a run that was ended on its way.")
@click.option("--dry-run", is_flag=True, help="Only show what would happen.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
def restore(
    backup: str,
    as_of: int | None,
    keys: tuple[str, ...],
    first: str,
    last: str,
    region: str,
    roll_back: bool,
    reason: str,
    run_id: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Bring the newest good BACKUP back, or the one of that name, and catch up from Kafka."""
    restores = Restores(_settings())
    request = restore_request(
        restores.contract,
        run_id=run_id or f"shell-{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
        by=f"{getpass.getuser()}@{socket.gethostname()}",
        mode=Mode.ROLL_BACK if roll_back else Mode.RESTORE,
        backup=backup,
        as_of=datetime.fromtimestamp(as_of / 1_000_000, UTC).isoformat() if as_of is not None else "",
        region=region,
        first=first,
        last=last,
        keys=keys,
        reason=reason,
    )
    # Told to end, it ends as after Ctrl-C: with its lock released.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _run(restores, _Asked(request, dry_run, yes, as_json))


def _run(restores: Restores, asked: _Asked) -> None:
    with _bars(asked.as_json) as bars:
        plan = restores.plan(asked.request, bars.counted("compared"), bars.checked)
    if asked.dry_run or not asked.as_json:
        _show_plan(plan, asked)
    if asked.dry_run:
        return
    if not asked.yes:
        click.confirm("Do it?", abort=True, err=asked.as_json)
    with _bars(asked.as_json) as bars:
        done = restores.restore(plan, bars.counted("restored"), bars.checked)
        caught_up = restores.catch_up(plan, bars.counted("from Kafka"))
    with nullcontext() if asked.as_json else console.status("Comparing with the source …"):
        reconciled = restores.reconcile(plan)
    report = restores.publish(plan, done, caught_up, reconciled)
    if asked.as_json:
        print(json.dumps({**_document(plan, False, done, caught_up), "reconciled": reconciled}, indent=2))
    else:
        console.print(report.sentence, markup=False)


def _show_plan(plan: Plan, asked: _Asked) -> None:
    if asked.as_json:
        print(json.dumps(_document(plan, asked.dry_run), indent=2))
        return
    console.print(Markdown(plan.markdown))
    if asked.dry_run:
        console.print("Nothing was written: this was a dry run.")


def _document(
    plan: Plan, dry_run: bool, restored: Counts | None = None, caught_up: CaughtUp | None = None
) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "plan": msgspec.to_builtins(plan),
        "restored": msgspec.to_builtins(restored),
        "caught_up": msgspec.to_builtins(caught_up),
    }


class _Bars:
    """A bar for each step, made when the step begins."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def checked(self, entries: int) -> None:
        self._move("checked", entries)

    def counted(self, step: str) -> Any:
        """For a step that counts entries."""
        return lambda counts: self._move(step, counts.read)

    def _move(self, step: str, done: int) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=None)
        self._progress.update(self._tasks[step], completed=done)


@contextmanager
def _bars(quiet: bool) -> Iterator[_Bars]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}"))
    with Progress(*columns, console=console, disable=quiet) as progress:
        yield _Bars(progress)


@click.group()
def epoch() -> None:
    """The epoch of the dataset: 0, or that of the last roll back."""


@epoch.command("show")
@_json
def show_command(as_json: bool) -> None:
    """Which epoch the cache stands in, and whether it is pinned."""
    settings = _settings()
    _show_epoch(read_epoch(redis_client(redis_url(settings), name="epoch"), _dataset(settings)), as_json)


@epoch.command("unpin")
@_json
def unpin_command(as_json: bool) -> None:
    """Let the cache become equal to its source again: the next reconciliation repairs what was rolled back."""
    settings = _settings()
    _show_epoch(unpin(redis_client(redis_url(settings), name="epoch"), _dataset(settings)), as_json)


def _show_epoch(found: Epoch, as_json: bool) -> None:
    if as_json:
        print(json.dumps(msgspec.to_builtins(found)))
        return
    pinned = "pinned" if found.pinned else "not pinned"
    console.print(f"epoch {found.number}, {pinned}")
    if found.number:
        console.print(f"  opened {found.opened_at} by {found.by}: {found.reason}, backup {found.backup}", markup=False)


def _settings() -> Environment:
    """The instance's settings, for the dataset of the environment."""
    instance = Instance.from_environment()
    if not (instance.home / "secrets" / "backup_signing_key").exists():
        raise InstrumentCacheError(f"there is no stack in {instance.home}; `make up` starts one")
    return Environment({**instance.settings(), "ICACHE_DATASET": _dataset(environment())})


def _dataset(env: Environment) -> str:
    return env.text("ICACHE_DATASET", "instruments")
