"""Runs the job in one process (Flink's mini cluster), in Flink's environment: `mini_cluster.py run` or `explain`.

Not a test by itself: `test_job.py` starts it.
"""

from __future__ import annotations

import sys

from pyflink.table import EnvironmentSettings, TableEnvironment

from flink_jobs import job
from instrument_cache.settings import environment


def main() -> None:
    env = environment()
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for name, value in {**job.PYTHON_OPTIONS, "python.executable": sys.executable}.items():
        tables.get_config().set(name, value)
    tables.get_config().set("execution.checkpointing.interval", "1 s")
    tables.get_config().set("parallelism.default", "2")
    if sys.argv[1] == "explain":
        job.declare(tables, env)
        print(tables.explain_sql(job.insert_statement("instruments")))
    else:
        job.build(tables, env).wait()


if __name__ == "__main__":
    main()
