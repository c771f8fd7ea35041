"""`icache secrets`: replace the secrets of the stack while they are used. docs/rotation.md says how it works."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import click
import msgspec
from rich.console import Console

from instrument_cache.errors import InstrumentCacheError
from instrument_cache.rotation.model import State
from instrument_cache.rotation.operation import SecretRotation
from instrument_cache.settings import Environment, environment
from local_stack.instance import Instance

console = Console(highlight=False, soft_wrap=True)
_POLL_S: Final = 1.0
_SETTINGS: Final = (
    *("ICACHE_ROTATION_HOLDER", "ICACHE_ROTATION_SECRETS", "ICACHE_ROTATION_REDIS_URL", "ICACHE_ROTATION_GRACE_S"),
    *("ICACHE_ROTATION_WATCH_S", "ICACHE_ROTATION_QUIET_S", "ICACHE_ROTATION_JWKS_S", "ICACHE_ROTATION_TOKEN_S"),
)
_names = click.argument("names", nargs=-1, metavar="[SECRET]...")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_no_wait = click.option("--no-wait", is_flag=True, help="End as soon as both secrets are good.")


@click.group()
def secrets() -> None:
    """Passwords and keys: how far their rotation is, rotate, roll back. No secret is shown."""


@secrets.command()
@_names
@_json
def status(names: Sequence[str], as_json: bool) -> None:
    """How far each SECRET is (else all). Exit code 1 if consumers hold one that is not believed."""
    rotation = _rotation()
    _show(rotation.states(rotation.chosen(names)), as_json)


@secrets.command()
@_names
@click.option("--dry-run", is_flag=True, help="Say how far each is; change nothing.")
@_no_wait
@_json
def rotate(names: Sequence[str], dry_run: bool, no_wait: bool, as_json: bool) -> None:
    """Rotate each SECRET (else all), or go on with what is under way. Exit code 1 if one is not done."""
    rotation = _rotation()
    chosen = rotation.chosen(names)
    if dry_run:
        _show(rotation.states(chosen), as_json)
    else:
        _run(rotation, chosen, as_json, back=False, wait=not no_wait)


@secrets.command()
@_names
@_no_wait
@_json
def rollback(names: Sequence[str], no_wait: bool, as_json: bool) -> None:
    """Give consumers the old secret again and take the new one away, of each SECRET (else all) that is under way."""
    rotation = _rotation()
    _run(rotation, rotation.chosen(names), as_json, back=True, wait=not no_wait)


def _rotation() -> SecretRotation:
    """The instance's settings, with those of the environment about rotation."""
    instance, given = Instance.from_environment(), environment().variables
    if not (instance.home / "secrets" / "redis_password").exists():
        raise InstrumentCacheError(f"there is no stack in {instance.home}; `make up` starts one")
    own = {name: given[name] for name in _SETTINGS if name in given}
    return SecretRotation(Environment({**instance.settings(), **own}))


def _run(rotation: SecretRotation, names: list[str], as_json: bool, *, back: bool, wait: bool) -> None:
    began = datetime.now(UTC)
    run_id = f"by-hand-{began.strftime('%Y%m%dT%H%M%S%f')}"
    refused = rotation.switch(names, run_id, back)
    if not wait:
        _show(rotation.states(names), as_json, refused)
    open_ones = [name for name in names if not refused[name]]
    told: dict[str, str] = {}
    try:
        while waiting := rotation.finish(open_ones, run_id):
            if not as_json and waiting.keys() != told.keys():
                console.print("\n".join(waiting.values()), markup=False)
            told = waiting
            time.sleep(_POLL_S)
    finally:
        looked = rotation.outcome(names, refused)
        published = rotation.publish(run_id, began.isoformat(timespec="seconds"), looked, back)
    print(msgspec.json.encode(published).decode()) if as_json else console.print(published.sentence, markup=False)
    sys.exit(0 if published.ok else 1)


def _show(states: Sequence[State], as_json: bool, refused: dict[str, str] | None = None) -> None:
    if as_json:
        print(msgspec.json.encode({"secrets": states}).decode())
    else:
        for state in states:
            console.print(f"{state.name:<24} {(refused or {}).get(state.name) or state.sentence}", markup=False)
    sys.exit(0 if all(state.ok for state in states) and not any((refused or {}).values()) else 1)
