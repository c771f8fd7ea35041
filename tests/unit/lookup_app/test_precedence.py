"""Who answers readers comes first while it needs little, and takes its turn while it needs much."""

from __future__ import annotations

import os
import subprocess
import sys

from local_stack.instance import PROJECT
from lookup_app.precedence import BUSY, CALM, Turn

# Works for 0.6 s, then rests for 2, in a thread that began before; prints the policy of that thread as it changes.
SERVICE = """
import os, threading, time
from lookup_app.precedence import come_first

policies, ended = [], threading.Event()

def serve():
    task = threading.get_native_id()
    def note():
        if not policies or policies[-1] != os.sched_getscheduler(task):
            policies.append(os.sched_getscheduler(task))
    def until(seconds, work):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            work()
            note()
    until(0.5, lambda: time.sleep(0.01))
    until(0.6, lambda: sum(range(1000)))
    until(2.0, lambda: time.sleep(0.01))

thread = threading.Thread(target=serve)
thread.start()
print(come_first(), flush=True)
thread.join()
print(policies)
"""


def test_it_takes_its_turn_while_it_is_busy_and_comes_first_when_it_was_calm_for_a_second() -> None:
    turn = Turn(now_s=0.0, worked_s=0.0)
    worked_s, seen = 0.0, {}
    shares = {0.1: 0.2, 0.2: BUSY + 0.1, 0.3: CALM + 0.1, 0.4: CALM - 0.1, 1.2: CALM - 0.1, 1.3: CALM - 0.1, 1.4: 0.1}
    before_s = 0.0
    for now_s, share in shares.items():
        worked_s += share * (now_s - before_s)
        before_s = now_s
        turn.look(now_s, worked_s)
        seen[now_s] = turn.is_first
    assert seen == {0.1: True, 0.2: False, 0.3: False, 0.4: False, 1.2: False, 1.3: True, 1.4: True}


def test_every_thread_follows_and_a_system_that_does_not_allow_it_is_no_error() -> None:
    done = subprocess.run([sys.executable, "-c", SERVICE], capture_output=True, text=True, check=True, cwd=PROJECT)
    allowed, policies = done.stdout.splitlines()[-2:]
    if allowed == "True":
        first, turn = int(os.SCHED_RR), int(os.SCHED_OTHER)
        assert policies.endswith(f"{first}, {turn}, {first}]")
    else:
        assert policies == f"[{int(os.SCHED_OTHER)}]"
        assert "takes_its_turn" in done.stdout + done.stderr
