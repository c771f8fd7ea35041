"""The form of `dead_letter_replay`, and what its tasks hand to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache_airflow.began import began

if TYPE_CHECKING:
    from instrument_cache.dead_letters.operation import Asked, Done, Planned


def replay_form() -> dict[str, Param]:
    """Fields named as those of `Asked`."""
    return {
        "dry_run": Param(True, type="boolean", title="Dry run", description="Plan and report; write nothing."),
        "codes": _texts("Reasons", "Only letters with one of these reject codes, one on each line. Empty: all."),
        "keys": _texts("Keys", "Only letters of these instruments, one on each line. Empty: all."),
        "since": _moment("Since", "Only letters that were written from this time on."),
        "until": _moment("Until", "Only letters that were written before this time. Empty: until the plan is made."),
        "patch": Param(
            None,
            type=["null", "array"],
            items={"type": "object"},
            maxItems=100,
            title="Patch",
            description='JSON patch (RFC 6902) for each record: [{"op":"replace","path":"/record/cusip","value":"…"}].',
        ),
        "count_max": Param(
            1000, type="integer", minimum=1, maximum=100_000, title="Records", description="Write at most so many."
        ),
        "rate_per_s": Param(
            100, type="number", minimum=0.1, maximum=100_000, title="Rate", description="At most so many per second."
        ),
        "approve_above": Param(
            100,
            type="integer",
            minimum=0,
            maximum=100_000,
            title="Approval above",
            description="If more records than this would be written, a person is asked first.",
        ),
        "again": Param(
            False, type="boolean", title="Again", description="Also letters that a replay has settled already."
        ),
    }


def asked(params: Mapping[str, Any], run_id: str, dag_run: Any) -> Asked:
    """What the form asks for."""
    from instrument_cache.dead_letters.operation import Asked

    values = {name: params[name] for name in replay_form()}
    for name in ("codes", "keys"):
        values[name] = list(values[name] or ())
    for name in ("since", "until"):
        values[name] = values[name] or ""
    who = getattr(dag_run, "triggering_user_name", None) or "unknown"
    return Asked(run_id=run_id, who=who, started_at=began(dag_run), **values)


def planned(ti: Any) -> Planned:
    """What `plan` returned."""
    import msgspec

    from instrument_cache.dead_letters.operation import Planned

    return msgspec.convert(ti.xcom_pull(task_ids="plan")["planned"], Planned)


def done(ti: Any) -> Done | None:
    """What `replay` returned; None if nobody approved it."""
    import msgspec

    from instrument_cache.dead_letters.operation import Done

    found = ti.xcom_pull(task_ids="replay")
    return None if found is None else msgspec.convert(found, Done)


@contextmanager
def refusals_end_it() -> Iterator[None]:
    """A patch or a filter that cannot be used is as bad in the next try."""
    from instrument_cache.errors import DeadLetterError

    try:
        yield
    except DeadLetterError as error:
        raise AirflowFailException(str(error)) from error


def _texts(title: str, description: str) -> Param:
    item = {"type": "string", "minLength": 1, "maxLength": 64}
    return Param(None, type=["null", "array"], items=item, maxItems=1000, title=title, description=description)


def _moment(title: str, description: str) -> Param:
    return Param(None, type=["null", "string"], format="date-time", title=title, description=description)
