"""When a run must ask before it repairs: each reason is a sentence that a person can decide on."""

from __future__ import annotations

from typing import Final

from instrument_cache.epoch import Epoch
from instrument_cache.reconcile.model import DELETING, WRONG, Counts, Kind
from instrument_cache.reconcile.plan import Order

# Few deletions are no sign of a source that lost its rows, however small the dataset is.
_FEW: Final = 10


def reasons(order: Order, counts: Counts, kinds: dict[str, int], trusted_rows: int, epoch: Epoch) -> list[str]:
    """Empty: repair without asking. `trusted_rows`: the source's rows in the last run that was not stopped."""
    repairs = sum(kinds[kind] for kind in WRONG)
    if not repairs and not kinds[Kind.DANGLING_ALIAS]:
        return []
    found = [*_lost_source(order, counts, trusted_rows), *_mass_delete(order, counts, kinds)]
    if epoch.pinned:
        found.append(
            f"epoch {epoch.number} is pinned to the backup {epoch.backup!r}: a repair would undo the roll back"
        )
    if repairs > order.budget:
        found.append(f"{repairs:,} repairs are more than the budget of {order.budget:,}")
    return found


def _lost_source(order: Order, counts: Counts, trusted_rows: int) -> list[str]:
    if not counts.rows and counts.cached_keys:
        return [f"the source is empty, the cache holds {counts.cached_keys:,} keys: was access withdrawn?"]
    lost = trusted_rows - counts.rows
    if lost > _FEW and lost * 100 > trusted_rows * order.lost_percent_max:
        share = f"{lost / trusted_rows:.0%} of its {trusted_rows:,} rows since the last run"
        return [f"the source lost {share}; at most {order.lost_percent_max} % are taken without asking"]
    return []


def _mass_delete(order: Order, counts: Counts, kinds: dict[str, int]) -> list[str]:
    deletions = sum(kinds[kind] for kind in (*DELETING, Kind.DANGLING_ALIAS))
    if deletions <= _FEW or deletions * 100 <= counts.cached_keys * order.lost_percent_max:
        return []
    share = f"{deletions:,} of {counts.cached_keys:,} cached keys would be removed"
    return [f"{share}; at most {order.lost_percent_max} % are removed without asking"]
