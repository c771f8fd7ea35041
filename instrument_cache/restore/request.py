"""What somebody asks for, checked as a whole before anything is read."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec

from instrument_cache.contract import Contract
from instrument_cache.errors import RestoreRefused
from instrument_cache.restore.scope import Scope, scope_of

ANY_REGION: Final = "any"


class Mode(StrEnum):
    """RESTORE offers through the guard and never overwrites newer data; ROLL_BACK replaces exactly, in a new epoch."""

    RESTORE = "restore"
    ROLL_BACK = "roll back to"


class RestoreRequest(msgspec.Struct, frozen=True):
    """`backup` names one; else `as_of` (ISO with a time zone) chooses the newest good one of then; else the newest.

    `region` is the first to be read; with "any", the one that answers. `run_id` is the same in every try of a run.
    """

    run_id: str
    by: str
    mode: Mode = Mode.RESTORE
    backup: str = ""
    as_of: str = ""
    region: str = ANY_REGION
    scope: Scope = Scope()
    reason: str = ""

    @property
    def moment(self) -> datetime | None:
        """`as_of` in UTC."""
        return datetime.fromisoformat(self.as_of).astimezone(UTC) if self.as_of else None


def restore_request(
    contract: Contract,
    *,
    run_id: str,
    by: str,
    mode: str = Mode.RESTORE,
    backup: str = "",
    as_of: str = "",
    region: str = ANY_REGION,
    first: str = "",
    last: str = "",
    keys: tuple[str, ...] = (),
    reason: str = "",
) -> RestoreRequest:
    """The request, if it can be carried out. Raises RestoreRefused, which names the value and the rule."""
    if mode not in tuple(Mode):
        raise RestoreRefused(f"mode is {mode!r}; it must be {' or '.join(repr(str(known)) for known in Mode)}")
    if backup and as_of:
        raise RestoreRefused("both a backup and a time were given; give one of the two, or neither for the newest")
    if mode == Mode.ROLL_BACK and not reason.strip():
        raise RestoreRefused("a roll back needs a reason, which readers are shown with the epoch; say it in one line")
    _check_moment(as_of)
    scope = scope_of(contract, first, last, keys)
    return RestoreRequest(run_id, by, Mode(mode), backup, as_of, region, scope, reason.strip())


def _check_moment(as_of: str) -> None:
    if not as_of:
        return
    try:
        moment = datetime.fromisoformat(as_of)
    except ValueError:
        raise RestoreRefused(f"as_of is {as_of!r}; it must be a time such as 2025-11-21T18:00:00Z") from None
    if moment.tzinfo is None:
        raise RestoreRefused(f"as_of is {as_of!r}, without a time zone; add Z for UTC")
