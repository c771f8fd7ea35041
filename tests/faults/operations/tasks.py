"""The tasks of each operation's DAG, through the kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from instrument_cache.backup.service import Backups
from instrument_cache.backup.summary import Steps
from instrument_cache.backup.verify import Verified
from instrument_cache.dead_letters.archive import Archived
from instrument_cache.dead_letters.service import DeadLetters
from instrument_cache.drills.dr import DrTargets
from instrument_cache.drills.failover import FailoverPlan
from instrument_cache.drills.service import Drilled, Drills
from instrument_cache.reconcile.plan import Order as ReconcileOrder
from instrument_cache.reconcile.service import Reconcile
from instrument_cache.restore.catch_up import CaughtUp
from instrument_cache.restore.counts import Counts
from instrument_cache.restore.plan import Plan
from instrument_cache.restore.request import Mode, restore_request
from instrument_cache.restore.service import Restores
from instrument_cache.settings import environment

# A machine that is busy with faults proves no target.
_PATIENCE_S: Final = 600.0


class Order(msgspec.Struct, frozen=True):
    """What a try is to do. `folder` keeps what tasks returned, `kill_in` and `kill_at` are a task and a call in it."""

    operation: str
    run_id: str
    moment: str
    folder: str
    approved: bool = False
    kill_in: str = ""
    kill_at: int = 0
    count_calls: bool = False
    clock_s: float = 0.0


class Run:
    """A run under way: what was ordered, and what its tasks have returned so far."""

    def __init__(self, order: Order, results: dict[str, Any]) -> None:
        self.order, self.results = order, results
        self.run_id, self.moment = order.run_id, datetime.fromisoformat(order.moment)

    def result(self, task: str, kind: Any) -> Any:
        return msgspec.convert(self.results[task], kind)


class Asks(Exception):
    """The run waits for a person."""


class Red(Exception):
    """A task that fails, and would again."""


Task = Callable[[Run], Any]


def _compare(run: Run) -> list[str]:
    return Reconcile().compare(run.run_id, ReconcileOrder(shards=4, grace_s=3)).reasons


def _approve(run: Run) -> None:
    if run.results["compare"] and not run.order.approved:
        raise Asks("; ".join(run.results["compare"]))


def _repair(run: Run) -> None:
    Reconcile().repair(run.run_id, approved=True)


def _report_reconcile(run: Run) -> str:
    return Reconcile().report(run.run_id).sentence


def _export(run: Run) -> Any:
    return Backups().export(run.run_id, run.moment)


def _verify(run: Run) -> Any:
    return Backups().verify(run.results["export"]["name"])


def _mark_good(run: Run) -> list[str]:
    return Backups().mark_good(run.result("verify", Verified))


def _fill_regions(run: Run) -> Any:
    return Backups().copy(run.run_id)


def _retention(run: Run) -> Any:
    return Backups().retain(run.run_id)


def _report_backup(run: Run) -> str:
    names = {
        "exported": "export",
        "verified": "verify",
        "marked": "mark_good",
        "copied": "fill_regions",
        "removed": "retention",
    }
    steps = msgspec.convert({field: run.results[task] for field, task in names.items()}, Steps)
    made = Backups().publish(run.run_id, run.moment, steps)
    if not made.ok:
        raise Red(made.sentence)
    return made.sentence


def _plan(mode: Mode) -> Task:
    def plan(run: Run) -> Plan:
        restores = Restores()
        request = restore_request(restores.contract, run_id=run.run_id, by="test", mode=mode, reason="a fault")
        return restores.plan(request)

    return plan


def _restore(run: Run) -> Counts:
    return Restores().restore(run.result("plan", Plan))


def _catch_up(run: Run) -> CaughtUp:
    return Restores().catch_up(run.result("plan", Plan))


def _reconcile(run: Run) -> str:
    return Restores().reconcile(run.result("plan", Plan))


def _report_restore(run: Run) -> str:
    plan, restored = run.result("plan", Plan), run.result("restore", Counts)
    return Restores().publish(plan, restored, run.result("catch_up", CaughtUp), run.results["reconcile"]).sentence


def _dr(run: Run) -> Drilled:
    targets = DrTargets(rto_s_max=_PATIENCE_S, rpo_s_max=_PATIENCE_S)
    return Drills(environment()).dr(run.run_id, targets, "second", lambda _: None)


def _failover(run: Run) -> Drilled:
    plan = FailoverPlan(instruments=500, before_s=1.0, after_s=1.0, write_gap_s_max=_PATIENCE_S)
    return Drills(environment()).failover(run.run_id, plan, lambda _: None)


def _report_drill(run: Run) -> str:
    report = Drills(environment()).publish(run.result("drill", Drilled))
    if not report.ok:
        raise Red(report.sentence)
    return report.sentence


def _archive(_: Run) -> Archived:
    return DeadLetters().archive_now()


def _restoring(mode: Mode) -> dict[str, Task]:
    return {
        "plan": _plan(mode),
        "restore": _restore,
        "catch_up": _catch_up,
        "reconcile": _reconcile,
        "report": _report_restore,
    }


OPERATIONS: Final[Mapping[str, Mapping[str, Task]]] = {
    "reconcile": {"compare": _compare, "approve": _approve, "repair": _repair, "report": _report_reconcile},
    "backup": {
        "export": _export,
        "verify": _verify,
        "mark_good": _mark_good,
        "fill_regions": _fill_regions,
        "retention": _retention,
        "report": _report_backup,
    },
    "restore": _restoring(Mode.RESTORE),
    "roll-back": _restoring(Mode.ROLL_BACK),
    "dr-drill": {"drill": _dr, "publish_report": _report_drill},
    "archive": {"archive": _archive},
    "failover-drill": {"drill": _failover, "publish_report": _report_drill},
}
