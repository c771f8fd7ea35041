"""Beam's own code, in Flink's environment: a bundle is neither sampled nor waits for the sampling thread."""

from __future__ import annotations

import subprocess

from local_stack.instance import Instance

_BUNDLE = """
import threading, time
from apache_beam.runners.worker import statesampler
from apache_beam.utils.counters import CounterFactory

def bundle():
    sampler = statesampler.StateSampler("stage", CounterFactory())
    sampler.start()
    threads = threading.active_count()
    assert statesampler.get_current_tracker() is sampler
    sampler.stop_if_still_running()
    sampler.commit_counters()
    sampler.reset()
    sampler.start()
    sampler.stop_if_still_running()
    assert statesampler.get_current_tracker() is None
    return threads

assert bundle() == 2, "Beam no longer samples in a thread: this can go"
from flink_jobs.quiet_sampler import quieten
quieten()
assert bundle() == 1
"""


def test_a_bundle_runs_without_a_sampling_thread() -> None:
    python = str(Instance.from_environment().flink_python)
    done = subprocess.run([python, "-c", _BUNDLE], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
