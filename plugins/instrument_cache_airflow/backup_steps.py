"""The steps of `cache_backup`: what its tasks hand to each other, around `instrument_cache.backup`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache.backup.service import Backups
from instrument_cache.backup.summary import Steps
from instrument_cache.backup.verify import Verified
from instrument_cache.errors import BackupError

_TASKS: Final = {
    "exported": "export",
    "verified": "verify",
    "marked": "mark_good",
    "copied": "fill_regions",
    "removed": "retention",
    "protected": "protect",
}


def protect() -> dict[str, Any]:
    """Keep the newest good backup under lock, also while no newer one is made."""
    return _plain(Backups().protect())


def export(context: Any) -> dict[str, Any]:
    """Make the backup of this run, or find it made by an earlier try."""
    moment: datetime = context["dag_run"].run_after
    return _plain(Backups().export(context["run_id"], moment))


def verify(context: Any) -> dict[str, Any]:
    """Prove what `export` made. Raises AirflowFailException if it is none."""
    name = context["ti"].xcom_pull(task_ids=_TASKS["exported"])["name"]
    with _no_retry():
        return _plain(Backups().verify(name))


def mark_good(context: Any) -> list[str]:
    """Mark what `verify` proved; returns the regions. Raises AirflowFailException if it holds too little."""
    verified = msgspec.convert(context["ti"].xcom_pull(task_ids=_TASKS["verified"]), Verified)
    with _no_retry():
        return Backups().mark_good(verified, context["params"]["accept_smaller"])


def fill_regions(context: Any) -> dict[str, Any]:
    """Give each region what it lacks."""
    return _plain(Backups().copy(context["run_id"], context["params"]["deep"]))


def retention(context: Any) -> dict[str, Any]:
    """Remove what the policy does not keep."""
    return _plain(Backups().retain(context["run_id"]))


def report(context: Any) -> str:
    """Publish what the tasks returned. Raises AirflowFailException if anybody has to look."""
    pulled = {field: context["ti"].xcom_pull(task_ids=task_id) for field, task_id in _TASKS.items()}
    steps = msgspec.convert(pulled, Steps)
    started = context["dag_run"].start_date or datetime.now(UTC)
    made = Backups().publish(context["run_id"], started, steps)
    if not made.ok:
        raise AirflowFailException(made.sentence)
    return made.sentence


@contextmanager
def _no_retry() -> Iterator[None]:
    """A backup that is damaged or too small stays so."""
    try:
        yield
    except BackupError as error:
        raise AirflowFailException(str(error)) from error


def _plain(struct: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(struct)
    return found
