"""`icache quality`: what the contract expects of the data, and whether it is so. docs/quality.md says how to use it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console

from instrument_cache.errors import InstrumentCacheError
from instrument_cache.quality.model import FAIL_ON, INPUTS, Checked, Order
from instrument_cache.quality.service import Quality
from instrument_cache.quality.words import lines
from instrument_cache.reports import Report
from instrument_cache.settings import Environment, environment
from local_stack.instance import Instance

console = Console(highlight=False, soft_wrap=True, stderr=True)
_json: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_page: Final = click.option("--page", type=click.Path(path_type=Path), help="Write the page of the run to this file.")
_DEFAULT: Final = Order()


@click.group()
def quality() -> None:
    """The data against its contract, and against the last good run."""


@quality.command()
@click.option(
    "--input", "inputs", multiple=True, type=click.Choice(INPUTS), help="What to look at; without it: cache and source."
)
@click.option(
    "--sample-percent", type=click.IntRange(1, 100), default=100, show_default=True, help="Share of the records."
)
@click.option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    default=_DEFAULT.fail_on,
    show_default=True,
    help="From which severity on the exit code is 1.",
)
@_page
@_json
def run(inputs: tuple[str, ...], sample_percent: int, fail_on: str, page: Path | None, as_json: bool) -> None:
    """Check now. Exit code 1 if a rule is broken or an input could not be read. It does not stop the stream."""
    service, started = _service(), datetime.now(UTC)
    run_id = f"shell-{started:%Y%m%dT%H%M%S.%f}"
    order = Order(inputs or _DEFAULT.inputs, sample_percent, fail_on)
    service.check(run_id, order, progress=lambda name, rows: console.print(f"{name}: {rows:,} records"))
    report = service.report(run_id, started, order)
    _show(service, report, page, as_json)
    sys.exit(0 if report.ok else 1)


@quality.command()
@click.argument("run_id", metavar="RUN", required=False)
@_page
@_json
def show(run_id: str | None, page: Path | None, as_json: bool) -> None:
    """What a run found; without RUN, the last one."""
    service = _service()
    run_id = run_id or service.newest().run_id
    results = service.results.need(run_id)
    _write(service, run_id, page)
    if as_json:
        _print({"run_id": run_id, "inputs": msgspec.to_builtins(results)})
    else:
        _print_lines(run_id, results)


@quality.command()
@click.argument("run_id", metavar="RUN")
def accept(run_id: str) -> None:
    """Measure later runs against this one: the data changed for good, and that is right."""
    inputs = _service().accept(run_id)
    print(f"Later runs are measured against {run_id}: {', '.join(inputs) or 'nothing, as nothing was read'}.")


def _service() -> Quality:
    instance = Instance.from_environment()
    if not (instance.home / "secrets" / "s3_secret_key").exists():
        raise InstrumentCacheError(f"there is no stack in {instance.home}; `make up` starts one")
    dataset = environment().text("ICACHE_DATASET", "instruments")
    return Quality(Environment({**instance.settings(), "ICACHE_DATASET": dataset}))


def _show(service: Quality, report: Report, page: Path | None, as_json: bool) -> None:
    _write(service, report.run_id, page)
    if as_json:
        _print(msgspec.to_builtins(report))
        return
    _print_lines(report.run_id, service.results.need(report.run_id))
    print(f"{report.details['sampling']} {report.sentence}")
    if report.details["stop"]:
        print("The contract asks to stop the stream: trigger `stream_stop` in Airflow.")


def _print_lines(run_id: str, results: dict[str, Checked]) -> None:
    print("\n".join([f"Run {run_id}", *lines(results.values())]))


def _print(value: Any) -> None:
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _write(service: Quality, run_id: str, page: Path | None) -> None:
    if page is not None:
        page.write_text(service.results.page(run_id), encoding="utf-8")
        console.print(f"Wrote {page}.")
