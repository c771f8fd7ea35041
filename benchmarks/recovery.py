"""How fast the stream is back after its TaskManager was killed: `python -m benchmarks.recovery`.

Drains a long log, kills the TaskManager with SIGKILL on the way, and tells how long no record was applied, how long
until the rate was back at 90 % of what it was, and whether every key is right at the end.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.command import add_output, report_console, run, warn, whole_number, write_json
from benchmarks.cpu import TASKMANAGER, ProcessTime, processes
from benchmarks.drain import SUBMISSION, await_counted, benchmark_store, counted, preload, submission
from benchmarks.machine import Machine, is_idle, look_at_machine
from benchmarks.report import outcomes_add_up
from benchmarks.span import between, moment
from benchmarks.stack import benchmark_stack
from benchmarks.stream import check, new_workload
from benchmarks.workload import Check
from instrument_cache.contract import load_contract
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.kafka import committed_offsets, topic_spans
from instrument_cache.store.redis import RedisStore
from local_stack.instance import DATASET, PROJECT, Instance
from local_stack.supervisor import Supervisor

SHARE_BACK: Final = 0.9
# The kill comes when so much of the log is applied: the code is compiled, and enough is left to be back in time.
_KILL_AT: Final = 0.25
_BEFORE_S: Final = 5.0
_WINDOW_S: Final = 3.0
_SAMPLE_S: Final = 0.1
_ASK_S: Final = 1.0
_TIMEOUT_S: Final = 240.0


class Sample(NamedTuple):
    """Records that the job has gone through by then, those that it repeated included."""

    at_s: float
    done: int


@dataclass(frozen=True)
class Recovery:
    """Seconds since the kill. `back_s` is None if the log ended before the rate was back."""

    rate_before: float
    standstill_s: float
    back_s: float | None
    rate_after: float


@dataclass(frozen=True)
class RecoveryReport:
    """`others_cores` is what other programs took from the kill to the end of the log."""

    machine: Machine
    rows: int
    parallelism: int
    recovery: Recovery
    check: Check
    outcomes_add_up: bool
    others_cores: float

    @property
    def is_exact(self) -> bool:
        return self.check.is_exact and self.outcomes_add_up

    @property
    def was_idle(self) -> bool:
        return self.machine.is_idle and is_idle(self.others_cores)


def recovery_of(samples: Sequence[Sample], killed_at_s: float) -> Recovery:
    """What the samples say; they begin at least `_BEFORE_S` before the kill.

    The rate is back at the first moment from which it is, over three seconds, at least 90 % of what it was.
    """
    before = [sample for sample in samples if sample.at_s <= killed_at_s]
    after = [sample for sample in samples if sample.at_s > killed_at_s]
    if len(before) < 2 or not after:
        raise InstrumentCacheError("the log was drained before the kill; give more --rows")
    rate_before = _rate(before[0], before[-1])
    moved = next((sample for sample in after if sample.done > after[0].done), after[-1])
    windows = [(first, _window(samples, first)) for first in after if first.at_s >= moved.at_s]
    rates = [(first.at_s, _rate(first, last)) for first, last in windows if last]
    back_s = next((at_s - killed_at_s for at_s, rate in rates if rate >= SHARE_BACK * rate_before), None)
    return Recovery(rate_before, moved.at_s - killed_at_s, back_s, max((rate for _, rate in rates), default=0.0))


def _window(samples: Sequence[Sample], first: Sample) -> Sample | None:
    return next((sample for sample in samples if sample.at_s >= first.at_s + _WINDOW_S), None)


def _rate(first: Sample, last: Sample) -> float:
    return (last.done - first.done) / (last.at_s - first.at_s)


def main() -> int:
    """0 if every key was right at the end, 1 if not."""
    options = _options()
    report = run(lambda status: measure(options.rows, options.parallelism, options.logs, status))
    if report is None:
        return 1
    show(report, report_console())
    write_json(options.json, as_json(report))
    return 0 if report.is_exact else 1


def measure(rows: int, parallelism: int, logs: Path | None, status: Callable[[str], None]) -> RecoveryReport:
    """Raises InstrumentCacheError if it cannot be run to its end."""
    machine = look_at_machine()
    workload = new_workload(load_contract(PROJECT / "contracts" / f"{DATASET}.yaml"))
    with benchmark_stack(parallelism, logs, status) as instance:
        preload(instance, workload, rows, status)
        with submission(instance) as launcher:
            status("draining")
            await_counted(benchmark_store(instance), round(rows * _KILL_AT), _TIMEOUT_S, launcher)
            recovery, others_cores = _kill_and_watch(instance, status)
        status("comparing every key")
        add_up = outcomes_add_up(benchmark_store(instance).counters(), rows, workload.rejected)
        found = check(instance, workload)
    return RecoveryReport(machine, rows, parallelism, recovery, found, add_up, others_cores)


def _kill_and_watch(instance: Instance, status: Callable[[str], None]) -> tuple[Recovery, float]:
    """Returns the cores that other programs took after the kill, too."""
    store = benchmark_store(instance)
    # The supervisor keeps what its ended children took, the killed TaskManager's time included.
    roots = {int((instance.home / "run" / "supervisord.pid").read_text()): "stack", os.getpid(): SUBMISSION}
    samples = _sample(store, _BEFORE_S, lambda: False)
    kill_taskmanager(instance)
    killed = moment(roots, 0)
    status("killed the TaskManager; waiting for the rest of the log")
    samples += _sample(store, _TIMEOUT_S, lambda: has_all(instance))
    return recovery_of(samples, killed.at_s), between(killed, moment(roots, 0)).others_cores


def _sample(store: RedisStore, seconds: float, is_over: Callable[[], bool]) -> list[Sample]:
    """Readings in short distances, for so long, or until it is over."""
    samples: list[Sample] = []
    end_s = time.monotonic() + seconds
    asked_s = time.monotonic()
    while (now_s := time.monotonic()) < end_s:
        counters = store.counters()
        samples.append(Sample(now_s, counted(counters) + counters.get("replayed", 0)))
        if now_s > asked_s + _ASK_S:
            asked_s = now_s
            if is_over():
                break
        time.sleep(_SAMPLE_S)
    return samples


def has_all(instance: Instance) -> bool:
    """True if a checkpoint covers the whole log."""
    taken = committed_offsets(instance.kafka, DATASET, f"instrument-cache.{DATASET}")
    return all(taken[at] >= span.end for at, span in topic_spans(instance.kafka, DATASET).items())


def kill_taskmanager(instance: Instance) -> None:
    """SIGKILL for the Java process alone, as the kernel would when memory is short; its workers must see it."""
    root = Supervisor(instance).state(TASKMANAGER)["pid"]
    found = processes()
    java = next((pid for pid in (root, *_below(root, found)) if found[pid].command == "java"), None)
    if java is None:
        raise InstrumentCacheError("the TaskManager does not run; --logs FOLDER keeps why")
    os.kill(java, signal.SIGKILL)


def _below(root: int, found: Mapping[int, ProcessTime]) -> list[int]:
    children = [pid for pid, process in found.items() if process.parent == root]
    return children + [pid for child in children for pid in _below(child, found)]


def as_json(report: RecoveryReport) -> dict[str, Any]:
    """Everything in the report, in units that the names tell."""
    return {
        "machine": {**asdict(report.machine), "was_idle": report.was_idle},
        "rows": report.rows,
        "parallelism": report.parallelism,
        **asdict(report.recovery),
        "keys": report.check._asdict(),
        "exact": report.is_exact,
        "others_cores": round(report.others_cores, 3),
    }


def show(report: RecoveryReport, console: Console) -> None:
    """Print the machine and one table."""
    for line in report.machine.lines():
        console.print(line, highlight=False, soft_wrap=True)
    console.print(_table(report))
    warn(console, was_idle=report.was_idle)
    if not report.is_exact:
        wrong = "WRONG: the store does not hold what it must; see the rows above"
        console.print(wrong, style="bold red", soft_wrap=True)


def _table(report: RecoveryReport) -> Table:
    found = report.recovery
    table = Table("after the TaskManager was killed", "")
    table.columns[1].justify = "right"
    back = "the log ended before" if found.back_s is None else f"{found.back_s:.1f}"
    table.add_row("nothing applied, seconds", f"{found.standstill_s:.1f}")
    table.add_row(f"until {SHARE_BACK:.0%} of the rate before, seconds", back, style="bold")
    table.add_row("records/s before", f"{found.rate_before:,.0f}")
    table.add_row("records/s after, at best", f"{found.rate_after:,.0f}")
    table.add_row("other programs, cores", f"{report.others_cores:.2f}")
    table.add_section()
    table.add_row("outcomes add up", "yes" if report.outcomes_add_up else "NO")
    for name in Check._fields:
        table.add_row(f"keys {name}", f"{getattr(report.check, name):,}")
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__)
    rows = "records in the log: enough for a minute and a half at full speed"
    parser.add_argument("--rows", type=whole_number(10_000, 100_000_000), default=6_000_000, help=rows)
    parser.add_argument("--parallelism", type=whole_number(1, 8), default=2, help="of the job")
    add_output(parser)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
