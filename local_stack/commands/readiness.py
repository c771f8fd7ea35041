"""`icache readiness`: the score of the running system, and what would raise it. docs/readiness.md lists the checks."""

from __future__ import annotations

import sys

import click
import msgspec
from rich.console import Console

from instrument_cache.readiness.model import score_percent
from instrument_cache.readiness.service import GOAL_PERCENT, Readiness, sentence
from local_stack.commands.doctor import doctor_environment
from local_stack.instance import Instance

console = Console(highlight=False, soft_wrap=True)
_MARKS = {True: "[green]ok  [/green]", False: "[red]no  [/red]", None: "[dim]n/a [/dim]"}


@click.command()
@click.option("--goal", default=GOAL_PERCENT, show_default=True, help="Percent that are good enough.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def readiness(goal: float, as_json: bool) -> None:
    """How ready the running system is, and what would raise the score. Exit code 1 below the goal."""
    checks = Readiness(doctor_environment(Instance.from_environment())).look()
    score = score_percent(checks)
    if as_json:
        print(msgspec.json.encode({"score_percent": score, "checks": checks}).decode())
    else:
        for check in checks:
            console.print(f"{_MARKS[check.passed]}{check.weight:>2}  {check.name:<22}", end="")
            console.print(check.sentence, markup=False)
            if check.fix:
                console.print(f"{'':<30}fix: {check.fix}", markup=False)
        console.print(f"\n{sentence(checks, goal)}.", markup=False)
    sys.exit(0 if score >= goal else 1)
