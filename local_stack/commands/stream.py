"""`icache stream`: the releases of the streaming job. It runs the code that a pod would, in Flink's environment.

docs/runbook/stream_upgrade.md says when to use what.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from instrument_cache.errors import InstrumentCacheError, Unavailable
from local_stack.airflow_api import AirflowApi
from local_stack.components.flink import flink_environment
from local_stack.instance import PROJECT, Instance
from local_stack.supervisor import Supervisor, SupervisorUnavailable

console = Console(highlight=False, soft_wrap=True)
# The Airflow Variables by which the watchdog knows whether the stream should run.
DESIRED: Final = "stream_instruments_desired"
STOPPED_AT: Final = "stream_instruments_stopped_at"
_STATES: Final = ("newest", "before", "beginning")
_from = click.option(
    "--from", "state", type=click.Choice(_STATES), default=_STATES[0], show_default=True, help="Where it begins."
)


@click.group()
def stream() -> None:
    """The releases of the streaming job: which one runs, another one, and back."""


@stream.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def versions(as_json: bool) -> None:
    """Every release, and what became of it."""
    done = _submit("versions", capture=True)
    if done.returncode:
        raise InstrumentCacheError(f"the releases cannot be read: {_last_error(done.stderr)}")
    print(done.stdout, end="") if as_json else _print_versions(json.loads(done.stdout))


@stream.command()
@click.option("--as", "name", metavar="NAME", help="What to call this checkout's code.")
@click.option("--to", metavar="VERSION", help="A published release instead of this checkout's code.")
@_from
def upgrade(name: str | None, to: str | None, state: str) -> None:
    """Deploy this checkout's code; it goes back by itself if it fails its first minute."""
    if name and to:
        raise click.UsageError("--as names this checkout's code, --to a release that was published: give one of them")
    _pass_on("upgrade", *(("--to", to) if to else ()), "--from", state, version=name)


@stream.command()
@click.option("--to", metavar="VERSION", help="Which release; without it, the newest that ran well.")
@_from
def rollback(to: str | None, state: str) -> None:
    """Go back to an earlier release."""
    _pass_on("rollback", *(("--to", to) if to else ()), "--from", state)


@stream.command()
@click.argument("parallelism", type=click.IntRange(1, 1024), metavar="N")
def scale(parallelism: int) -> None:
    """Go on with another parallelism."""
    _pass_on("scale", str(parallelism))


@stream.command()
def stop() -> None:
    """Stop the stream with a savepoint, until it is started again."""
    _tell_watchdog(**{STOPPED_AT: datetime.now(UTC).isoformat(), DESIRED: "stopped"})
    _pass_on("stop")


@stream.command()
def start() -> None:
    """Start the wanted release from its newest state, if it does not run."""
    _tell_watchdog(**{DESIRED: "running"})
    _pass_on("ensure")


def _pass_on(*arguments: str, version: str | None = None) -> None:
    """The command's exit code is this one's too."""
    sys.exit(_submit(*arguments, version=version).returncode)


def _submit(*arguments: str, capture: bool = False, version: str | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m flink_jobs.submit …`, as the pod on this machine runs it. `version` names this checkout's code."""
    instance = Instance.from_environment()
    if not (instance.home / "secrets" / "redis_password").exists():
        raise InstrumentCacheError(f"there is no stack in {instance.home}; `make up` starts one")
    settings = {**instance.base_environment(), **flink_environment(instance), "ICACHE_COMPONENT": "stream-command"}
    command = [str(instance.flink_python), "-m", "flink_jobs.submit", *arguments]
    own = {
        "ICACHE_LOG_FORMAT": "json" if capture else "console",
        **({"ICACHE_JOB_VERSION": version} if version else {}),
    }
    return subprocess.run(
        command,
        cwd=PROJECT,
        env={**settings, **own},
        capture_output=capture,
        text=True,
        check=False,
    )


def _last_error(log: str) -> str:
    lines = [line for line in log.splitlines() if line.startswith("{")]
    return str(json.loads(lines[-1]).get("error", lines[-1])) if lines else log.strip()[-400:]


def _tell_watchdog(**variables: str) -> None:
    """Without Airflow there is no watchdog either."""
    instance = Instance.from_environment()
    try:
        if Supervisor(instance).states().get("airflow-api-server", {}).get("statename") != "RUNNING":
            return
        airflow = AirflowApi(instance)
        for name, value in variables.items():
            airflow.set_variable(name, value)
    except SupervisorUnavailable:
        return
    except Unavailable as error:
        console.print(f"[yellow]The watchdog was not told, and may undo this within a minute:[/yellow] {error}")


def _print_versions(overview: dict[str, Any]) -> None:
    table = Table(box=None)
    for column in ("release", "state", "published", "bytes", "digest"):
        table.add_column(column)
    for release in overview["releases"]:
        published = datetime.fromtimestamp(release["published_us"] / 1e6, UTC).isoformat(" ", "seconds")
        row = (release["version"], release["state"], published, str(release["size"]), release["digest"][:12])
        table.add_row(*row)
    console.print(table)
    for run in [run for run in (overview["trial"], overview["current"]) if run]:
        what = "on trial" if run is overview["trial"] else "current"
        console.print(f"{what}: {run['release']}, parallelism {run['parallelism'] or 'default'}, job {run['job_id']}")
    for past in overview["past"][:5]:
        ended = datetime.fromtimestamp(past["ended_us"] / 1e6, UTC).isoformat(" ", "seconds")
        console.print(f"{ended}  {past['release']}  {past['verdict']}: {past['reason']}", markup=False)
