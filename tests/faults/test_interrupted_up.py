"""`icache up`, killed at several moments and run again, ends in a whole stack."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from local_stack.instance import PROJECT
from local_stack.synthetic import synthetic_rows
from tests.stack import running_stack

MOMENTS_S = (0.5, 3.0, 10.0, 25.0)


@pytest.mark.timeout(900)
def test_up_killed_at_any_moment_and_run_again_works() -> None:
    with running_stack() as stack:
        environment = {
            **os.environ,
            "ICACHE_HOME": str(stack.home),
            "ICACHE_PORT_OFFSET": str(stack.port_offset),
            "ICACHE_TOOLS": str(stack.instance.tools),
        }
        for moment_s in MOMENTS_S:
            started = subprocess.Popen([PROJECT / "icache", "up"], env=environment, stdout=subprocess.DEVNULL)
            time.sleep(moment_s)
            started.kill()
            started.wait()
        stack.up()
        stack.source.publish(synthetic_rows(200))
        stack.settle()
        stack.assert_equal_to_source()
