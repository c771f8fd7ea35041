"""What a run came to, as the report that everybody reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from instrument_cache.reconcile.model import WRONG, Kind
from instrument_cache.reconcile.plan import OPEN_MAX, PartResult, Plan, PlanStore
from instrument_cache.reports import Report

OPERATION: Final = "reconcile"
REPAIRED: Final = "repaired"
DRY_RUN: Final = "dry run"
REFUSED: Final = "refused"


def report_of(plan: Plan, plans: PlanStore, decision: str, now_us: int) -> Report:
    """The report of a run whose repair ended, was not wanted (`DRY_RUN`) or was refused."""
    results = list(plans.results())
    still_open = _open(plan, plans, results)
    numbers = _numbers(plan, results, still_open, decision, now_us)
    return Report(
        dataset=plan.dataset,
        operation=OPERATION,
        run_id=plan.run_id,
        started_at=iso(plan.started_us),
        finished_at=iso(now_us),
        ok=not still_open,
        sentence=_sentence(plan, numbers, decision),
        numbers=numbers,
        details=_details(plan, results, still_open, decision),
    )


def equal_ratio(plan: Plan, wrong: float) -> float:
    """The share of keys that are equal, 0…1: of those that the source gives and those that it does not."""
    keys = plan.counts.expected_keys + plan.number(Kind.EXTRA, Kind.EXPIRED)
    return 1.0 if keys == 0 else 1.0 - wrong / keys


def _numbers(
    plan: Plan, results: list[PartResult], still_open: dict[str, int], decision: str, now_us: int
) -> dict[str, float]:
    wrong = plan.number(*WRONG)
    repaired = sum(sum(result.repaired.values()) for result in results)
    swept = sum(result.repaired.get(Kind.DANGLING_ALIAS, 0) for result in results)
    lost_source = decision == REFUSED and plan.trusted_rows > plan.counts.rows
    numbers: dict[str, float] = {
        "rows": plan.counts.rows,
        "keys": plan.counts.expected_keys,
        "cached_keys": plan.counts.cached_keys,
        "rejected_rows": plan.counts.rejected_rows,
        "unreadable_keys": plan.counts.unreadable_keys,
        **{kind: plan.kinds.get(kind, 0) for kind in Kind},
        "differences": wrong,
        "equal_ratio": equal_ratio(plan, wrong),
        "equal_ratio_after": equal_ratio(plan, max(0, wrong - (repaired - swept)) if still_open else 0),
        "oldest_difference_s": _age_s(plan.oldest_since_us, plan.finished_us),
        "oldest_open_s": _age_s(min(still_open.values(), default=0), now_us),
        "repaired": repaired - swept,
        "swept_aliases": swept,
        "moved": sum(result.moved for result in results),
        "open": len(still_open),
        "asked": bool(plan.reasons),
        "settled": plan.settled,
        "compare_s": (plan.finished_us - plan.started_us) / 1e6,
        "looked_us": plan.started_us,
        "trusted_rows": plan.trusted_rows if lost_source else plan.counts.rows,
    }
    return {name: float(number) for name, number in numbers.items()}


def _age_s(since_us: int, now_us: int) -> float:
    return max(0, now_us - since_us) / 1e6 if since_us else 0.0


def _open(plan: Plan, plans: PlanStore, results: Iterable[PartResult]) -> dict[str, int]:
    """Key → since when, of what still differs."""
    done = {result.part: result.open for result in results}
    found: dict[str, int] = {}
    for part in range(plan.parts):
        found.update(done[part] if part in done else _whole(plan, plans, part))
        if len(found) > OPEN_MAX:
            break
    return found


def _whole(plan: Plan, plans: PlanStore, part: int) -> Iterator[tuple[str, int]]:
    differences = plans.part(plan, part)
    return ((each.key, each.since_us) for each in differences if each.kind is not Kind.DANGLING_ALIAS)


def _sentence(plan: Plan, numbers: dict[str, float], decision: str) -> str:
    return f"{_found(plan, numbers, decision)} {plan.unsettled}".rstrip()


def _found(plan: Plan, numbers: dict[str, float], decision: str) -> str:
    found = ", ".join(f"{plan.kinds[kind]:,} {kind.replace('_', ' ')}" for kind in WRONG if plan.kinds.get(kind))
    equal = f"{numbers['equal_ratio']:.4%} of {plan.counts.expected_keys:,} keys equal"
    if not found:
        return f"The cache equals its source: {equal}."
    if decision == DRY_RUN:
        return f"{equal}; {found}. Nothing was repaired: a dry run."
    if decision == REFUSED:
        return f"{equal}; {found}. Nothing was repaired: refused ({'; '.join(plan.reasons)})."
    return f"{equal}; {found}. Repaired {numbers['repaired']:,.0f}, open {numbers['open']:,.0f}."


def _details(plan: Plan, results: list[PartResult], still_open: dict[str, int], decision: str) -> dict[str, Any]:
    after = {key: value for result in results for key, value in result.after.items()}
    for sample in plan.samples:
        sample.after = after.get(sample.key, sample.before)
    return {
        "decision": decision,
        "order": msgspec.to_builtins(plan.order),
        "reasons": plan.reasons,
        "unsettled": plan.unsettled,
        "kinds": plan.kinds,
        "epoch": plan.epoch.number,
        "samples": msgspec.to_builtins(plan.samples),
        "open": still_open,
    }


def iso(moment_us: int) -> str:
    """Microseconds since 1970 → ISO 8601 in UTC."""
    return datetime.fromtimestamp(moment_us / 1e6, UTC).isoformat(timespec="milliseconds")
