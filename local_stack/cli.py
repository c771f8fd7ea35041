"""`icache`: the laptop stack and its data, from the shell."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click
import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from instrument_cache.contract import load_contract
from instrument_cache.errors import IdentifierError, InstrumentCacheError, SettingsError
from instrument_cache.identifiers import canonical_cusip
from instrument_cache.logs import configure_logging
from instrument_cache.settings import Environment, contract_path
from instrument_cache.source.registry import open_source
from local_stack import publish, up
from local_stack.commands.account import account
from local_stack.commands.api import api
from local_stack.commands.apikey import apikey
from local_stack.commands.audit import audit
from local_stack.commands.backup import backup
from local_stack.commands.contract import contract
from local_stack.commands.dlq import dlq
from local_stack.commands.doctor import doctor
from local_stack.commands.drill import drill
from local_stack.commands.freshness import freshness
from local_stack.commands.quality import quality
from local_stack.commands.readiness import readiness
from local_stack.commands.reconcile import reconcile
from local_stack.commands.restore import epoch, restore
from local_stack.commands.secrets import secrets
from local_stack.commands.stream import stream
from local_stack.instance import OPTIONAL, Instance
from local_stack.stack import component
from local_stack.status import all_running, status
from local_stack.supervisor import Supervisor, log_path
from local_stack.synthetic import ROWS_MAX, synthetic_rows

console = Console(highlight=False)
SAMPLE_ROWS: Final = 1000


class Commands(click.Group):
    """Turns the product's errors into one sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InstrumentCacheError as error:
            Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]icache:[/red] {error}", markup=True)
            ctx.exit(1)


@click.group(cls=Commands)
def main() -> None:
    """The Instrument Cache on this machine. docs/local-stack.md says what each command does."""


@main.command("up")
@click.option("--data", type=click.Path(path_type=Path), help="NDJSON or CSV file (.gz too) to publish first.")
@click.option("--with", "options", multiple=True, type=click.Choice(OPTIONAL), help="An optional part to run too.")
def up_command(data: Path | None, options: tuple[str, ...]) -> None:
    """Start everything, launch the stream through Airflow, and wait until the data is readable."""
    instance = Instance.from_environment()
    instance.choose(options)
    up.check_machine(instance)
    if data is not None and not data.exists():
        raise InstrumentCacheError(f"{data} does not exist; name a file of rows with DATA=…")
    started = time.monotonic()
    console.print(f"Starting the stack in {instance.home}")
    up.start_all(instance, _step)
    _timed("data published", lambda: _publish_first(instance, data))
    _timed("stream launched by Airflow", lambda: up.launch_stream(instance))
    _timed("snapshot applied", lambda: up.await_applied(instance))
    console.print(f"Up after {time.monotonic() - started:.0f} s.\n")
    _what_next(instance)


def _step(name: str, seconds: float) -> None:
    console.print(f"  {name:<34} {seconds:6.1f} s")


def _timed(name: str, action: Callable[[], Any]) -> None:
    started = time.monotonic()
    action()
    _step(name, time.monotonic() - started)


def _publish_first(instance: Instance, data: Path | None) -> None:
    """The named file, once; without one, a few synthetic instruments if the source is empty."""
    source = _source(instance)
    if data is not None:
        publish.publish_file_once(instance, source, data, _contract(instance))
    elif source.count() == 0:
        source.publish(synthetic_rows(SAMPLE_ROWS))


def _what_next(instance: Instance) -> None:
    for name, address, login in (
        ("Airflow", instance.url("airflow"), f"admin / {instance.secret('airflow_password')}"),
        ("Flink", instance.url("flink"), ""),
        ("Lookup", instance.url("lookup"), ""),
        ("Source (simulated)", instance.url("simulator"), f"token: {instance.home}/secrets/source_token"),
        ("S3", instance.url("s3"), f"keys: {instance.home}/secrets/s3_access_key, s3_secret_key"),
        ("Redis", f"127.0.0.1:{instance.port('redis')}", f"password: {instance.home}/secrets/redis_password"),
        ("Kafka", instance.kafka, ""),
    ):
        print(f"  {name:<20} {address:<24} {login}".rstrip())
    sample = _sample_key(instance)
    console.print("\nTry:")
    console.print(f"  curl -s {instance.url('lookup')}/v1/instruments/{sample}")
    console.print("  ./icache status")
    console.print("  ./icache generate --rows 1000 --rate 100")


def _sample_key(instance: Instance) -> str:
    events = _source(instance).snapshot()
    return next((event.key for event in events if hasattr(event, "payload")), "037833100")


@main.command()
def down() -> None:
    """Stop everything; no process is left behind. Data stays."""
    instance = Instance.from_environment()
    left = up.stop_all(instance)
    console.print(f"Stopped{f'; ended {left} processes that were left' if left else ''}.")


@main.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status_command(as_json: bool) -> None:
    """What each part does and how far the data has come. Exit code 1 if a part does not run."""
    report = status(Instance.from_environment())
    print(json.dumps(report, indent=2)) if as_json else _print_status(report)
    sys.exit(0 if all_running(report) else 1)


def _print_status(report: dict[str, Any]) -> None:
    table = Table(box=None)
    for column in ("part", "state", "pid", "port", "restarts"):
        table.add_column(column)
    for name, part in report["parts"].items():
        colour = "green" if part["state"] == "RUNNING" else "red"
        state = f"[{colour}]{part['state']}[/{colour}]"
        table.add_row(name, state, str(part["pid"] or ""), str(part["port"] or ""), str(part["restarts"]))
    console.print(table)
    for name, value in report["counts"].items():
        console.print(f"{name:<14} {'?' if value is None else value}")


@main.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on printing what comes.")
@click.option("-n", "--lines", default=100, show_default=True)
def logs(name: str, follow: bool, lines: int) -> None:
    """Print the log of a part."""
    path = log_path(Instance.from_environment(), component(name).name)
    if not path.exists():
        raise InstrumentCacheError(f"{name} has no log yet ({path}); `icache up` starts it")
    for line in path.read_text(errors="replace").splitlines()[-lines:]:
        print(line)
    if follow:
        for line in _follow(path):
            print(line, end="", flush=True)


def _follow(path: Path) -> Iterator[str]:
    file = path.open(errors="replace")
    file.seek(0, 2)
    while True:
        if line := file.readline():
            yield line
        elif path.stat().st_size < file.tell():  # the log was rotated
            file = path.open(errors="replace")
        else:
            time.sleep(0.2)


@main.command()
@click.argument("name")
def restart(name: str) -> None:
    """Stop a part and start it again."""
    instance = Instance.from_environment()
    supervisor, part = Supervisor(instance), component(name)
    supervisor.stop(part.name)
    _timed(name, lambda: up.start(instance, supervisor, part))


@main.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Stop everything and delete its data, logs and secrets."""
    instance = Instance.from_environment()
    if not yes:
        click.confirm(f"Delete all data in {instance.home}?", abort=True)
    up.stop_all(instance)
    shutil.rmtree(instance.home)
    console.print(f"Deleted {instance.home}.")


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
def load(file: Path) -> None:
    """Publish the rows of an NDJSON or CSV file (.gz too) to the source."""
    instance = Instance.from_environment()
    with _progress(DownloadColumn()) as bar:
        task = bar.add_task(file.name, total=file.stat().st_size if file.exists() else None)
        count = publish.publish_file(
            _source(instance), file, _contract(instance), lambda position: bar.update(task, completed=position)
        )
        bar.update(task, completed=file.stat().st_size)
    console.print(f"Published {count} rows.")


@main.command()
@click.option("--rows", type=click.IntRange(1, ROWS_MAX), required=True)
@click.option("--rate", type=click.FloatRange(min=0.1), help="Rows per second; without it, as fast as possible.")
@click.option("--seed", default=1, show_default=True)
@click.option("--start", default=0, show_default=True, help="Number of the first instrument.")
def generate(rows: int, rate: float | None, seed: int, start: int) -> None:
    """Publish synthetic instruments (CUSIPs of the internal-use issuers 990-999)."""
    source = _source(Instance.from_environment())
    with _progress(TextColumn("{task.completed}/{task.total}")) as bar:
        task = bar.add_task("rows", total=rows)
        paced = publish.paced(synthetic_rows(rows, seed, start), rate)
        for chunk in paced:
            bar.advance(task, source.publish(chunk))
    console.print(f"Published {rows} rows.")


def _progress(counter: Any) -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), counter, TimeRemainingColumn(), console=console)


@main.command()
@click.argument("keys", nargs=-1, required=True)
def delete(keys: tuple[str, ...]) -> None:
    """Delete instruments from the source."""
    source = _source(Instance.from_environment())
    deleted = source.delete(keys)
    console.print(f"Deleted {deleted} of {len(keys)}.")
    if deleted < len(keys):
        raise InstrumentCacheError(
            f"{len(keys) - deleted} of the keys are not in the source; `icache get ID` looks one up"
        )


@main.command()
@click.argument("identifier", metavar="ID")
def get(identifier: str) -> None:
    """Look an instrument up by CUSIP, or by PME id. Exit code 1 if there is none."""
    url = Instance.from_environment().url("lookup") + "/v1/instruments"
    try:
        answer = httpx.get(f"{url}/{canonical_cusip(identifier)}", timeout=5)
    except IdentifierError:
        answer = httpx.get(url, params={"pme": identifier}, timeout=5)
    except httpx.HTTPError as error:
        raise InstrumentCacheError(f"the lookup service does not answer ({error}); `icache status` shows why") from None
    print(answer.text.strip())
    sys.exit(0 if answer.is_success else 1)


def _source(instance: Instance) -> Any:
    if not (instance.home / "secrets" / "source_token").exists():
        raise InstrumentCacheError(f"there is no stack in {instance.home}; `make up` starts one")
    settings = instance.settings()
    return open_source(settings["ICACHE_SOURCE_URL"], Environment(settings))


def _contract(instance: Instance) -> Any:
    return load_contract(contract_path(Environment(instance.settings())))


main.add_command(account)
main.add_command(apikey)
main.add_command(api)
main.add_command(audit)
main.add_command(backup)
main.add_command(contract)
main.add_command(dlq)
main.add_command(doctor)
main.add_command(drill)
main.add_command(epoch)
main.add_command(freshness)
main.add_command(quality)
main.add_command(restore)
main.add_command(readiness)
main.add_command(reconcile)
main.add_command(secrets)
main.add_command(stream)


def run() -> None:
    """As a program: what its parts log goes to standard error, beside what was asked for."""
    try:
        configure_logging("icache")
    except SettingsError as error:
        raise SystemExit(f"icache: {error}") from None
    main()


if __name__ == "__main__":
    run()
