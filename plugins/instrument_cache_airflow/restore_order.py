"""The form of `cache_restore`: its fields, and the request that they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from instrument_cache.contract import Contract
    from instrument_cache.restore.catch_up import CaughtUp
    from instrument_cache.restore.counts import Counts
    from instrument_cache.restore.plan import Plan
    from instrument_cache.restore.request import RestoreRequest

_NAME: Final = r"^\d{8}T\d{6}Z-[0-9a-f]{12}$"
_KEYS_MAX: Final = 10_000


def restore_form() -> dict[str, Param]:
    """The fields."""
    return {
        "mode": Param(
            "restore",
            type="string",
            enum=["restore", "roll back to"],
            title="What to do",
            description="restore: bring back what is missing or older, overwrite nothing newer. roll back to: make "
            "the cache what the backup was, newer data or not, in a new epoch.",
        ),
        "backup": Param(
            None,
            type=["null", "string"],
            pattern=_NAME,
            title="Backup",
            description="Its name, such as 20251121T181500Z-3f9c2a1b7d04. Empty: the newest good one.",
        ),
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date-time",
            title="As of",
            description="Instead of a name: the newest good backup that was finished by then.",
        ),
        "region": Param(
            "any",
            type="string",
            enum=["any", "first", "second"],
            title="Region",
            description="Whose copy to read first. The other serves if it cannot be used.",
        ),
        "keys": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "minLength": 1, "maxLength": 64},
            maxItems=_KEYS_MAX,
            title="Keys",
            description="Only these instruments, one on each line. Empty: all, or those of the range.",
        ),
        "first": Param(None, type=["null", "string"], maxLength=64, title="First key", description="Of a range."),
        "last": Param(None, type=["null", "string"], maxLength=64, title="Last key", description="Of a range."),
        "reason": Param(
            None,
            type=["null", "string"],
            maxLength=200,
            title="Reason",
            description="One line. Needed to roll back: readers are shown it with the epoch.",
        ),
    }


def request_of(contract: Contract, params: Mapping[str, Any], run_id: str, by: str) -> RestoreRequest:
    """The request that the fields make. Raises RestoreRefused."""
    from instrument_cache.restore.request import restore_request

    texts = {name: params[name] or "" for name in ("mode", "backup", "as_of", "region", "first", "last", "reason")}
    return restore_request(contract, run_id=run_id, by=by, keys=tuple(params["keys"] or ()), **texts)


@contextmanager
def refusals_end_it() -> Iterator[None]:
    """What is refused is refused again in the next try: the task fails at once, and says why."""
    from instrument_cache.epoch import EpochMoved
    from instrument_cache.errors import BackupRefused, RestoreRefused

    try:
        yield
    except (BackupRefused, RestoreRefused, EpochMoved) as error:
        raise AirflowFailException(str(error)) from error


def planned(ti: Any) -> Plan:
    """What was approved, with who approved it."""
    import msgspec

    from instrument_cache.restore.plan import Plan

    plan = msgspec.convert(ti.xcom_pull(task_ids="plan"), Plan)
    approver = (ti.xcom_pull(task_ids="approve") or {}).get("responded_by_user") or {}
    by = f"{plan.request.by}, approved by {approver.get('name', 'unknown')}"
    return msgspec.structs.replace(plan, request=msgspec.structs.replace(plan.request, by=by))


def restored(ti: Any) -> Counts:
    """What `restore` came to."""
    import msgspec

    from instrument_cache.restore.counts import Counts

    return msgspec.convert(ti.xcom_pull(task_ids="restore"), Counts)


def caught_up(ti: Any) -> CaughtUp:
    """What `catch_up` came to."""
    import msgspec

    from instrument_cache.restore.catch_up import CaughtUp

    return msgspec.convert(ti.xcom_pull(task_ids="catch_up"), CaughtUp)


def reconciled(ti: Any) -> str:
    """What `reconcile` found."""
    return str(ti.xcom_pull(task_ids="reconcile"))
