"""`icache doctor`: what is broken, why, and the command that mends it. docs/doctor.md lists what it sees."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click
import msgspec
from rich.console import Console

from instrument_cache.doctor import Finding, examine, is_red, part_of
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.settings import Environment, environment
from local_stack.components.product import feed_state_file
from local_stack.instance import Instance
from local_stack.stack import parts
from local_stack.supervisor import Supervisor, SupervisorUnavailable

console = Console(highlight=False, soft_wrap=True)
_LIMITS: Final = (
    *("ICACHE_DOCTOR_BACKUP_MINUTES_MAX", "ICACHE_DOCTOR_DEADLINE_S", "ICACHE_DOCTOR_PROOF_MINUTES_MAX"),
    *("ICACHE_DOCTOR_REDIS_MS_MAX", "ICACHE_DOCTOR_S3_MS_MAX", "ICACHE_FRESHNESS_LATE_S", "ICACHE_FRESHNESS_STALLED_S"),
)
_COLOURS: Final = {"ok": "green", "warn": "yellow", "red": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """What is broken, why, and what mends it. Exit code 1 if a part is red."""
    instance = Instance.from_environment()
    supervisor = part_of("supervisor", look_at_processes, instance)
    found = examine(doctor_environment(instance), more=[supervisor])
    print(msgspec.json.encode(found).decode()) if as_json else _show(found)
    sys.exit(1 if is_red(found) else 0)


def doctor_environment(instance: Instance) -> Environment:
    """The instance's settings, with the limits of the environment."""
    if not (instance.home / "secrets" / "redis_password").exists():
        raise InstrumentCacheError(f"there is no stack in {instance.home}; `make up` starts one")
    given = environment().variables
    limits = {name: given[name] for name in _LIMITS if name in given}
    return Environment({**instance.settings(), "ICACHE_FEED_STATE_FILE": str(feed_state_file(instance)), **limits})


def look_at_processes(instance: Instance) -> Iterator[Finding]:
    """Every part that does not run."""
    try:
        states = Supervisor(instance).states()
    except SupervisorUnavailable as error:
        yield Finding("supervisor", "red", str(error), "the stack is down, or its supervisor was killed", "icache up")
        return
    names = [part.name for part in parts(instance)]
    found = list(_not_running(names, states))
    yield from found
    if not found:
        yield Finding("supervisor", "ok", f"all {len(names)} parts run")


def _not_running(names: Sequence[str], states: Mapping[str, Any]) -> Iterator[Finding]:
    for name in names:
        state = states.get(name, {}).get("statename", "STOPPED")
        if state == "RUNNING":
            continue
        why = "it was stopped by hand" if state == "STOPPED" else "it ends as soon as it starts, or starts just now"
        mend = f"icache restart {name}; icache logs {name}"
        yield Finding(name, "red", f"the process of {name} is {state}", why, mend)


def _show(found: Sequence[Finding]) -> None:
    for finding in found:
        colour = _COLOURS[finding.severity]
        console.print(f"[{colour}]{finding.severity:<4}[/{colour}] {finding.part:<18} ", end="")
        console.print(finding.sentence, markup=False)
        _more("why", finding.why)
        _more("mend", finding.mend)
        _more("see", finding.runbook and f"docs/runbook/{finding.runbook}.md")
    counts = {severity: sum(finding.severity == severity for finding in found) for severity in ("red", "warn", "ok")}
    console.print(f"\n{counts['red']} red, {counts['warn']} to look at, {counts['ok']} well.")


def _more(name: str, text: str) -> None:
    if text:
        console.print(f"{'':<24}{name + ':':<6}{text}", markup=False)
