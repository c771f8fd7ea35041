"""CPU accounting: the form of /proc, which process belongs to which part, and what ended children took."""

from __future__ import annotations

import os
import time

import pytest

from benchmarks.cpu import (
    PYTHON_WORKERS,
    TICKS_PER_S,
    ProcessTime,
    cpu_by_part,
    difference,
    machine_busy_s,
    parse_machine_stat,
    parse_stat,
    processes,
)

STAT = "42 (a (b) c) S 7 42 42 0 -1 4194560 1 2 3 4 {user} {system} {children_user} {children_system} 20 0 9 0 1 2 3"


def test_a_name_may_hold_brackets_and_spaces_and_ended_children_count() -> None:
    text = STAT.format(user=TICKS_PER_S, system=TICKS_PER_S, children_user=TICKS_PER_S, children_system=TICKS_PER_S)
    assert parse_stat(text) == ProcessTime(parent=7, command="a (b) c", cpu_s=4.0)


def test_a_part_is_its_root_and_all_below_it() -> None:
    running = {
        10: ProcessTime(1, "redis-server", 1.0),
        11: ProcessTime(10, "redis-server", 0.5),
        20: ProcessTime(1, "java", 3.0),
        99: ProcessTime(1, "stranger", 50.0),
    }
    assert cpu_by_part(running, {10: "redis", 20: "kafka", 30: "gone"}) == {"redis": 1.5, "kafka": 3.0}


def test_python_workers_are_told_from_the_taskmanager_that_runs_them() -> None:
    running = {
        20: ProcessTime(1, "java", 3.0),
        21: ProcessTime(20, "bash", 0.25),
        22: ProcessTime(21, "python", 4.0),
    }
    assert cpu_by_part(running, {20: "flink-taskmanager"}) == {"flink-taskmanager": 3.0, PYTHON_WORKERS: 4.25}


def test_a_process_whose_parent_ended_between_two_reads_belongs_to_nobody() -> None:
    assert cpu_by_part({22: ProcessTime(21, "python", 4.0)}, {20: "redis"}) == {}


def test_the_difference_of_two_readings() -> None:
    before = {"redis": 1.0, "gone": 9.0}
    assert difference(before, {"redis": 1.5, "new": 2.0}) == {"redis": 0.5, "new": 2.0}


def test_a_busy_machine_is_all_but_idle_and_waiting() -> None:
    ticks = [TICKS_PER_S * share for share in (1, 2, 3, 1000, 1000, 4, 5, 6, 7, 8)]
    assert parse_machine_stat(f"cpu  {' '.join(map(str, ticks))}\ncpu0 1 2 3\n") == 1 + 2 + 3 + 4 + 5 + 6


def test_this_process_is_seen_to_work() -> None:
    roots = {os.getpid(): "tests"}
    before, machine_before = cpu_by_part(processes(), roots), machine_busy_s()
    deadline = time.process_time() + 0.2
    while time.process_time() < deadline:
        pass
    assert difference(before, cpu_by_part(processes(), roots))["tests"] == pytest.approx(0.2, abs=0.1)
    assert machine_busy_s() - machine_before >= 0.1
