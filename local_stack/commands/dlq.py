"""`icache dlq`: the dead letters of the dataset. docs/dead-letters.md says how to use it."""

from __future__ import annotations

import getpass
import heapq
import json
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click
from redis.exceptions import RedisError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from instrument_cache.connections import redis_client
from instrument_cache.dead_letters.audit import Result
from instrument_cache.dead_letters.budget import Budget
from instrument_cache.dead_letters.letter import POSITION
from instrument_cache.dead_letters.letter_filter import LetterFilter
from instrument_cache.dead_letters.outcome import SETTLED, LetterOutcome
from instrument_cache.dead_letters.patch import load_patch
from instrument_cache.dead_letters.plan import Plan
from instrument_cache.dead_letters.replay import WAIT_S, ReplayRequest
from instrument_cache.dead_letters.service import DeadLetters, Where
from instrument_cache.dead_letters.statistics import reject_share
from instrument_cache.errors import DeadLetterError, InstrumentCacheError, StoreUnavailable
from instrument_cache.reject_gate import clear_alarm
from instrument_cache.settings import Environment, environment, redis_url
from local_stack.commands import dlq_view as view
from local_stack.commands.moment import MOMENT
from local_stack.instance import Instance

console = Console(highlight=False)
_ROWS: Final = 20
_BUDGET: Final = Budget()


@click.group()
def dlq() -> None:
    """Dead letters: the records that the job rejected. docs/dead-letters.md is the operator's page."""


def _settings() -> Environment:
    """The instance's settings, for the dataset of the environment."""
    instance = Instance.from_environment()
    if not (instance.home / "secrets" / "s3_secret_key").exists():
        raise InstrumentCacheError(f"there is no stack in {instance.home}; `make up` starts one")
    dataset = environment().text("ICACHE_DATASET", "instruments")
    return Environment({**instance.settings(), "ICACHE_DATASET": dataset})


def _positions(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if POSITION.fullmatch(value) is None:
            raise click.BadParameter(
                f"{value!r} is no position; it is TOPIC-PARTITION-OFFSET, as `icache dlq list` shows"
            )
    return values


_FILTER: Final = (
    click.option("--code", "codes", multiple=True, help="Only this reject code; may be repeated."),
    click.option("--key", "keys", multiple=True, help="Only this key; may be repeated."),
    click.option(
        "--position", "positions", multiple=True, callback=_positions, help="Only this TOPIC-PARTITION-OFFSET."
    ),
    click.option("--since", type=MOMENT, help="From this time on: 2025-11-21T18:00 (UTC), or 90m, 12h, 7d ago."),
    click.option("--until", type=MOMENT, help="Before this time."),
    click.option(
        "--from",
        "where",
        type=click.Choice([str(where) for where in Where]),
        default=str(Where.ALL),
        show_default=True,
        help="Kafka answers while S3 is away, the archive while Kafka is.",
    ),
)
_json: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the filter's options; the command gets `wanted` and `where`."""

    @wraps(command)
    def run(
        codes: tuple[str, ...],
        keys: tuple[str, ...],
        positions: tuple[str, ...],
        since: int | None,
        until: int | None,
        where: str,
        **options: Any,
    ) -> None:
        wanted = LetterFilter(frozenset(codes), frozenset(keys), frozenset(positions), since, until)
        command(wanted=wanted, where=Where(where), **options)

    for option in reversed(_FILTER):
        run = option(run)
    return run


@dlq.command("list")
@_filtered
@click.option("--state", type=click.Choice(["open", "unfinished", "replayed"]), help="Only letters in this state.")
@click.option("--limit", type=click.IntRange(min=1), default=_ROWS, show_default=True, help="Show the newest ones.")
@_json
def list_command(wanted: LetterFilter, where: Where, state: str | None, limit: int, as_json: bool) -> None:
    """The letters, the newest last."""
    letters = DeadLetters(_settings())
    marks, key_field = letters.marks(where), letters.contract.key.name
    total = 0
    rows: list[tuple[int, int, dict[str, Any]]] = []
    for letter in letters.letters(wanted, where):
        row = view.row(letter, marks, key_field)
        if state in (None, row["state"]):
            total += 1
            heapq.heappush(rows, (letter.time_us, total, row))
            if len(rows) > limit:
                heapq.heappop(rows)
    shown = [row for *_, row in sorted(rows)]
    if as_json:
        print(json.dumps({"total": total, "letters": shown}, indent=2))
        return
    view.print_letters(console, shown, total)


@dlq.command()
@click.argument("position", callback=lambda context, parameter, value: _positions(context, parameter, (value,))[0])
@click.option("--from", "where", type=click.Choice([str(where) for where in Where]), default=str(Where.ALL))
@_json
def show(position: str, where: str, as_json: bool) -> None:
    """One letter: reason, original bytes, and what replays did to it."""
    letters, place = DeadLetters(_settings()), Where(where)
    marks = letters.marks(place)
    found = list(letters.letters(LetterFilter(positions=frozenset({position})), place))
    if not found:
        raise DeadLetterError(f"there is no dead letter {position}; `icache dlq list` shows those that there are")
    rows = [view.details(letter, marks, letters.contract.key.name) for letter in found]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        view.print_details(console, row)


@dlq.command()
@_filtered
@_json
def stats(wanted: LetterFilter, where: Where, as_json: bool) -> None:
    """The letters counted by code, hour, partition and state, and the share of all records that was rejected."""
    letters = DeadLetters(_settings())
    counted = letters.statistics(wanted, where)
    document = counted.as_json() | {"share_of_all_records": _share(letters)}
    print(json.dumps(document, indent=2)) if as_json else view.print_statistics(console, document)


def _share(letters: DeadLetters) -> float | None:
    """None while Redis is away: the letters themselves can be counted without it."""
    try:
        return reject_share(letters.store.counters())
    except StoreUnavailable:
        return None


@dlq.command()
@_filtered
@click.option("--patch", type=click.Path(path_type=Path), help="JSON patch (RFC 6902) for each record.")
@click.option("--rate", type=float, default=_BUDGET.rate_per_s, show_default=True, help="Records per second at most.")
@click.option("--limit", type=int, default=_BUDGET.count_max, show_default=True, help="Records at most.")
@click.option("--wait", "wait_s", type=click.FloatRange(0, 3600), default=WAIT_S, show_default=True)
@click.option("--again", is_flag=True, help="Also letters that a replay has settled.")
@click.option("--dry-run", is_flag=True, help="Only show what would happen.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
def replay(
    wanted: LetterFilter,
    where: Where,
    patch: Path | None,
    rate: float,
    limit: int,
    wait_s: float,
    again: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Write letters back to the change topic, where the job judges them anew. Exit code 1 if one is left open."""
    letters = DeadLetters(_settings())
    budget = Budget(limit, rate)
    request = ReplayRequest(_who(), wanted, budget, load_patch(patch) if patch else None, again, wait_s)
    plan = letters.plan(request, where)
    if dry_run or not plan.letters:
        _show_plan(plan, dry_run, as_json)
        return
    if not as_json:
        view.print_plan(console, plan)
    if plan.to_write and not yes:
        click.confirm(f"Write {len(plan.to_write)} records?", abort=True, err=as_json)
    _show_result(_run(letters, request, plan, quiet=as_json), as_json)


def _show_plan(plan: Plan, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps(view.plan_document(plan, dry_run), indent=2))
        return
    view.print_outcomes(console, plan.lines)
    view.print_plan(console, plan)
    console.print("Nothing was written: this was a dry run." if dry_run else "There is nothing to replay.")


def _run(letters: DeadLetters, request: ReplayRequest, plan: Plan, quiet: bool) -> Result:
    # Told to end, it ends as after Ctrl-C: with its audit record.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run = letters.replay(request, plan)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, console=console, disable=quiet) as bar:
        written = bar.add_task("written", total=len(plan.to_write))
        settled = bar.add_task("settled", total=len(plan.to_write))

        def progress(records: int, outcomes: int) -> None:
            bar.update(written, completed=records)
            bar.update(settled, completed=outcomes)

        return run.run(progress)


def _show_result(result: Result, as_json: bool) -> None:
    if as_json:
        print(json.dumps(view.result_document(result), indent=2))
    else:
        view.print_outcomes(console, result.letters)
        view.print_result(console, result)
    sys.exit(_exit_code(result.letters) if result.status == "complete" else 1)


def _exit_code(letters: list[LetterOutcome]) -> int:
    return 0 if all(letter.outcome in SETTLED for letter in letters) else 1


def _who() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


@dlq.command()
@_json
def archive(as_json: bool) -> None:
    """Archive to S3 what is not yet archived; the DAG dead_letter_archive does so each hour."""
    letters = DeadLetters(_settings())
    with nullcontext() if as_json else console.status("Archiving …"):
        done = letters.archive_now()
    if as_json:
        print(json.dumps({"letters": done.letters, "objects": done.objects, "value_bytes": done.value_bytes}))
        return
    console.print(f"Archived {done.letters} letters in {done.objects} objects.")


@dlq.command()
@_json
def resume(as_json: bool) -> None:
    """Clear the alarm of too many rejects, so that a job that it stopped goes on."""
    settings = _settings()
    dataset = settings.text("ICACHE_DATASET", "instruments")
    try:
        cleared = clear_alarm(redis_client(redis_url(settings), name="dlq"), dataset)
    except RedisError as error:
        raise StoreUnavailable(f"Redis did not clear the alarm: {error}") from error
    if as_json:
        print(json.dumps({"dataset": dataset, "cleared": cleared}))
    else:
        console.print("The alarm is cleared; the job goes on." if cleared else "There is no alarm.")
