"""`icache freshness`: how old the cache is, by partition, and why. docs/freshness.md explains the verdicts."""

from __future__ import annotations

import math
import sys
import time
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from instrument_cache.connections import redis_client
from instrument_cache.errors import InstrumentCacheError, StoreUnavailable
from instrument_cache.freshness import Freshness, FreshnessProbe, Verdict
from instrument_cache.freshness.connect import certain_look, connect_probe
from instrument_cache.settings import Environment, environment, redis_url
from local_stack.components.product import feed_state_file
from local_stack.instance import Instance

console = Console(highlight=False, soft_wrap=True)
_PAUSE_S: Final = 1.0
_LIMITS: Final = ("ICACHE_FRESHNESS_LATE_S", "ICACHE_FRESHNESS_STALLED_S")
_COLOURS: Final = {Verdict.OK: "green", Verdict.SILENT: "yellow", Verdict.LATE: "yellow"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--watch", is_flag=True, help="Look again each second until interrupted.")
def freshness(as_json: bool, watch: bool) -> None:
    """How fresh the cache is, by partition. Exit code 0 if it is, else 1."""
    probe = make_probe(Instance.from_environment())
    if watch:
        _watch(probe, as_json)
    found = certain_look(probe)
    _show(found, as_json)
    sys.exit(0 if found.verdict is Verdict.OK else 1)


def make_probe(instance: Instance) -> FreshnessProbe:
    """A probe of the instance, with the limits of the environment."""
    if not (instance.home / "secrets" / "redis_password").exists():
        raise InstrumentCacheError(f"there is no stack in {instance.home}; `make up` starts one")
    given = environment().variables
    limits = {name: given[name] for name in _LIMITS if name in given}
    env = Environment({**instance.settings(), "ICACHE_FEED_STATE_FILE": str(feed_state_file(instance)), **limits})
    return connect_probe(env, redis_client(redis_url(env), name="freshness"))


def _watch(probe: FreshnessProbe, as_json: bool) -> None:
    while True:
        try:
            found = probe.look()
            if not as_json:
                console.clear()
            _show(found, as_json)
        except StoreUnavailable as error:
            console.print(f"[red]{error}[/red]")
        time.sleep(_PAUSE_S)


def _show(found: Freshness, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(found).decode(), flush=True)
        return
    table = Table(box=None)
    for column in ("partition", "verdict", "canary s", "waiting", "standing s", "next", "end"):
        table.add_column(column, justify="left" if column == "verdict" else "right")
    for at in found.partitions:
        ages = _number(at.canary_age_s, 1), _number(at.behind), _number(at.standing_s)
        table.add_row(str(at.partition), _coloured(at.verdict), *ages, str(at.next), _number(at.end))
    console.print(table)
    for stage, lag in sorted(found.lags.items()):
        quantiles = f"p50 ≤ {_milliseconds(lag.p50_ms)}, p99 ≤ {_milliseconds(lag.p99_ms)}"
        console.print(f"{stage} → readable: {quantiles}, {lag.records} records")
    console.print(f"{_coloured(found.verdict)}: {found.message}")


def _coloured(verdict: Verdict) -> str:
    return f"[{_COLOURS.get(verdict, 'red')}]{verdict}[/]"


def _number(value: float | None, digits: int = 0) -> str:
    return "?" if value is None else f"{value:.{digits}f}"


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:g} ms" if math.isfinite(value) else "beyond the last bucket"
