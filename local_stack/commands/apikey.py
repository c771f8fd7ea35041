"""`icache apikey`: the keys with which clients of the lookup service say who they are. docs/lookup-security.md."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from instrument_cache.api_keys import ALL, ApiKeyRecord, KeyStore
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.settings import environment
from local_stack.instance import DATASET, Instance

console = Console(highlight=False, soft_wrap=True)
_DAY_S = 86_400


@click.group()
def apikey() -> None:
    """Create, list and revoke API keys of the lookup service, in the Redis of the stack or of ICACHE_REDIS_URL."""


@apikey.command()
@click.argument("client")
@click.option("--dataset", "datasets", multiple=True, help=f"A dataset that it may read, or '{ALL}'; repeatable.")
@click.option("--days", type=click.IntRange(1, 3650), help="Days until it expires; without it, never.")
def create(client: str, datasets: tuple[str, ...], days: int | None) -> None:
    """Print a new key for CLIENT. It is shown this once: only a hash of it is kept."""
    expires_at = None if days is None else int(time.time()) + days * _DAY_S
    print(_store().create(client, datasets or (DATASET,), expires_at))


@apikey.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """Every key, revoked and expired ones too."""
    keys = [_row(id_, record) for id_, record in _store().all()]
    print(json.dumps({"keys": keys}, indent=2)) if as_json else _show(keys)


@apikey.command()
@click.argument("id_", metavar="ID")
def revoke(id_: str) -> None:
    """Refuse a key from now on. Services that know it refuse it within ICACHE_LOOKUP_API_KEY_TTL_S."""
    record = _store().revoke(id_)
    print(f"Revoked {id_} of {record.client}.")


def _store() -> KeyStore:
    """Of the Redis that is set, else of the stack's own."""
    env, instance = environment(), Instance.from_environment()
    if env.variables.get("ICACHE_REDIS_URL") or env.variables.get("ICACHE_REDIS_URL_FILE"):
        return KeyStore.connect(env.secret("ICACHE_REDIS_URL"))
    if not (instance.home / "secrets" / "redis_password").exists():
        raise InstrumentCacheError(
            f"there is no stack in {instance.home}; `make up` starts one, or set ICACHE_REDIS_URL to another Redis"
        )
    return KeyStore.connect(instance.redis_url)


def _row(id_: str, record: ApiKeyRecord) -> dict[str, Any]:
    return {
        "id": id_,
        "client": record.client,
        "datasets": list(record.datasets),
        "state": _state(record),
        "created_at": _moment(record.created_at),
        "expires_at": _moment(record.expires_at),
        "revoked_at": _moment(record.revoked_at),
    }


def _state(record: ApiKeyRecord) -> str:
    if record.revoked_at is not None:
        return "revoked"
    return "valid" if record.refusal(time.time()) is None else "expired"


def _moment(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _show(keys: list[dict[str, Any]]) -> None:
    table = Table(box=None)
    for column in ("id", "client", "datasets", "state", "created_at", "expires_at"):
        table.add_column(column)
    for key in keys:
        cells = {**key, "datasets": ", ".join(key["datasets"]), "expires_at": key["expires_at"] or "never"}
        table.add_row(*(cells[str(column.header)] for column in table.columns))
    console.print(table)
