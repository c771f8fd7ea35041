"""`make test-faults`: every fault, again and again, with a seed that can be given again. Writes docs/reliability.md."""

from __future__ import annotations

import sys
import time

import click

from tests.faults import report
from tests.faults.faults import FAULTS
from tests.faults.naming import is_unnamed
from tests.faults.rounds import Round, running_field


@click.command(help=__doc__)
@click.option("--seed", type=int, default=None, help="Round N of a fault takes seed + N. Default: the time.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Rounds of each fault.")
@click.option(
    "--fault", "faults", type=click.Choice(list(FAULTS)), multiple=True, help="Only this one; may be repeated."
)
@click.option("--short", is_flag=True, help="Faults last for seconds, as in `make test`, and the page is left alone.")
def main(seed: int | None, rounds: int, faults: tuple[str, ...], short: bool) -> None:
    seed = int(time.time()) if seed is None else seed
    click.echo(f"seed {seed}, {rounds} rounds of each fault")
    done: list[Round] = []
    try:
        with running_field(seed) as field:
            for fault in faults or FAULTS:
                for number in range(rounds):
                    done.append(field.run(fault, seed + number, long=not short))
                    _tell(done[-1])
    finally:  # what was done counts, also if a later round does not come to its end
        if done and not short:
            report.write(done)
    sys.exit(any(result.findings or result.false_alarms or is_unnamed(result.named) for result in done))


def _tell(result: Round) -> None:
    verdict = f"{len(result.findings)} FINDINGS" if result.findings else "nothing wrong"
    click.echo(f"{result.fault:22} {result.changes:6} changes, whole after {result.recovery_s:5.1f} s, {verdict}")
    click.echo(f"    {result.named or 'NOT NAMED by the doctor'}")
    for alarm in result.false_alarms:
        click.echo(f"    FALSE ALARM of the doctor before the fault: {alarm}")
    for finding in result.findings[:20]:
        click.echo(f"    {finding.name} {finding.where}: {finding.text[:300]}")


if __name__ == "__main__":
    main()
