"""`make test-faults`: every fault, again and again, with a seed that can be given again. Writes docs/reliability.md."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import click

from local_stack.instance import PROJECT
from tests.faults import report
from tests.faults.faults import FAULTS
from tests.faults.naming import is_unnamed
from tests.faults.operations import report as operations_report
from tests.faults.operations.airflow_kills import AIRFLOW_KILLS, running_airflow
from tests.faults.operations.faults import OPERATION_FAULTS
from tests.faults.operations.rounds import OperationRound, running_operations
from tests.faults.rounds import Round, running_field

_GROUPS = ("drift", "stream", "operations", "airflow")
_DRIFT_SEEDS = 20


@click.command(help=__doc__)
@click.option("--seed", type=int, default=None, help="Round N of a fault takes seed + N. Default: the time.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Rounds of each fault.")
@click.option(
    "--fault",
    "faults",
    type=click.Choice([*_GROUPS, *FAULTS, *OPERATION_FAULTS, *AIRFLOW_KILLS]),
    multiple=True,
    help="Only this one, or all of a group; may be repeated.",
)
@click.option("--short", is_flag=True, help="Faults last for seconds, as in `make test`, and the page is left alone.")
def main(seed: int | None, rounds: int, faults: tuple[str, ...], short: bool) -> None:
    seed = int(time.time()) if seed is None else seed
    click.echo(f"seed {seed}, {rounds} rounds of each fault")
    seeds, wanted = range(seed, seed + rounds), set(faults) or {*_GROUPS}
    wrong = "drift" in wanted and _drift_is_missed()
    stream = [fault for fault in FAULTS if wanted & {fault, "stream"}]
    operations = [fault for fault in OPERATION_FAULTS if wanted & {fault, "operations"}]
    if stream:
        wrong |= _rounds(running_field(seed), stream, seeds, short, report.write, _tell)
    airflow = [fault for fault in AIRFLOW_KILLS if wanted & {fault, "airflow"}]
    if operations:
        wrong |= _rounds(running_operations(seed), operations, seeds, short, operations_report.write, _tell_operation)
    if airflow:
        wrong |= _rounds(running_airflow(), airflow, seeds, short, operations_report.write, _tell_operation)
    sys.exit(wrong)


def _drift_is_missed() -> bool:
    """Drift of every kind under live traffic, which a reconciliation must find."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "tests/integration/reconcile/test_drift.py"]
    environment = {**os.environ, "ICACHE_TEST_SEEDS": str(_DRIFT_SEEDS)}
    return bool(subprocess.run(command, env=environment, cwd=PROJECT, check=False).returncode)


def _rounds(
    running: AbstractContextManager[Any],
    faults: Sequence[str],
    seeds: Sequence[int],
    short: bool,
    write: Callable[[list[Any]], None],
    tell: Callable[[Any], None],
) -> bool:
    """True if anything was found."""
    done: list[Any] = []
    try:
        with running as field:
            for fault in faults:
                for seed in seeds:
                    done.append(field.run(fault, seed, long=not short))
                    tell(done[-1])
    finally:  # what was done counts, also if a later round does not come to its end
        if done and not short:
            write(done)
    return any(map(_is_wrong, done))


def _is_wrong(result: Round | OperationRound) -> bool:
    unnamed = is_unnamed(result.named) or is_unnamed(result.shown)
    alarms = isinstance(result, Round) and result.false_alarms
    return bool(result.findings or unnamed or alarms)


def _tell(result: Round) -> None:
    click.echo(
        f"{result.fault:22} {result.changes:6} changes, whole after {result.recovery_s:5.1f} s, {_verdict(result)}"
    )
    _tell_named(result)
    for alarm in result.false_alarms:
        click.echo(f"    FALSE ALARM of the doctor before the fault: {alarm}")


def _tell_operation(result: OperationRound) -> None:
    click.echo(f"{result.fault:30} {result.tries} tries, whole after {result.recovery_s:5.1f} s, {_verdict(result)}")
    _tell_named(result)


def _tell_named(result: Round | OperationRound) -> None:
    click.echo(f"    the doctor: {result.named or 'NOT NAMED'}")
    click.echo(f"    the page: {result.shown or 'NOT NAMED'}")


def _verdict(result: Round | OperationRound) -> str:
    shown = [f"\n    {name} {where}: {text[:300]}" for name, where, text in result.findings[:20]]
    return f"{len(result.findings)} FINDINGS{''.join(shown)}" if shown else "nothing wrong"


if __name__ == "__main__":
    main()
