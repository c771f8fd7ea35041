"""Submits jobs without Kafka, Redis or Python workers: one JSON object per line in, one job id per line out.

`flink_cluster.py` runs it in Flink's environment. One process for many jobs, because it takes a JVM.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pyflink.table import EnvironmentSettings, TableEnvironment


def submit(name: str, body: str, options: dict[str, str]) -> str:
    """Start a job that evaluates `body` over 100 numbers `n` per second."""
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for key, value in {"execution.target": "remote", "pipeline.name": name, **options}.items():
        tables.get_config().set(key, value)
    source = "'connector' = 'datagen', 'rows-per-second' = '100'"
    tables.execute_sql(f"CREATE TEMPORARY TABLE numbers (n BIGINT) WITH ({source})")
    tables.execute_sql("CREATE TEMPORARY TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole')")
    client: Any = tables.execute_sql(f"INSERT INTO nowhere SELECT {body} FROM numbers").get_job_client()
    return str(client.get_job_id())


for line in sys.stdin:
    print(submit(**json.loads(line)), flush=True)
