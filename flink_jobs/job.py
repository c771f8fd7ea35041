"""The streaming job: two tables and one INSERT around one function. `flink_jobs.submit` runs it."""

from __future__ import annotations

import sys
from typing import Final

from pyflink.table import EnvironmentSettings, TableEnvironment, TableResult

from flink_jobs.apply import apply_changes
from instrument_cache.flink_rest import job_name, job_version
from instrument_cache.settings import Environment, environment

# One setting serves both throughput and latency: a bundle ends after 20,000 records, or 8 to 16 ms.
PYTHON_OPTIONS: Final = {
    "python.fn-execution.bundle.size": "20000",
    "python.fn-execution.bundle.time": "8",
    "python.fn-execution.arrow.batch.size": "5000",
    "pipeline.object-reuse": "true",
}
_MESSAGE_BYTES_MAX: Final = 20_000_000


def main() -> None:
    """Build the table program and submit it to the cluster that `flink run` chose."""
    env = environment()
    dataset = env.text("ICACHE_DATASET", "instruments")
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    options = {**PYTHON_OPTIONS, "pipeline.name": job_name(dataset, job_version()), "python.executable": sys.executable}
    for name, value in options.items():
        tables.get_config().set(name, value)
    build(tables, env)


def build(tables: TableEnvironment, env: Environment) -> TableResult:
    """Declare the tables and start the INSERT.

    Value, partition and offset go to Python; only the reason comes back, and is joined to them in the same row.
    """
    declare(tables, env)
    return tables.execute_sql(insert_statement(env.text("ICACHE_DATASET", "instruments")))


def declare(tables: TableEnvironment, env: Environment) -> None:
    """The function, the source table and the sink table."""
    dataset, bootstrap = env.text("ICACHE_DATASET", "instruments"), env.text("ICACHE_KAFKA_BOOTSTRAP")
    tables.create_temporary_function("apply_changes", apply_changes)
    tables.execute_sql(source_ddl(bootstrap, dataset))
    tables.execute_sql(dead_letter_ddl(bootstrap, dataset))


def source_ddl(bootstrap: str, dataset: str) -> str:
    """Only the columns in use are declared: every metadata column costs throughput."""
    return f"""
        CREATE TABLE changes (
            v BYTES,
            p INT METADATA FROM 'partition' VIRTUAL,
            o BIGINT METADATA FROM 'offset' VIRTUAL
        ) WITH (
            'connector' = 'kafka', 'format' = 'raw', 'topic' = '{dataset}',
            'properties.bootstrap.servers' = '{bootstrap}',
            'properties.group.id' = 'instrument-cache.{dataset}',
            'scan.startup.mode' = 'earliest-offset'
        )"""


def dead_letter_ddl(bootstrap: str, dataset: str) -> str:
    """Exactly once: readers of the dead letters use `read_committed`."""
    return f"""
        CREATE TABLE dead_letters (
            k STRING,
            v BYTES,
            headers MAP<STRING, BYTES> METADATA
        ) WITH (
            'connector' = 'kafka', 'topic' = '{dataset}.dead-letter',
            'key.format' = 'raw', 'key.fields' = 'k',
            'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY',
            'properties.bootstrap.servers' = '{bootstrap}',
            'properties.max.request.size' = '{_MESSAGE_BYTES_MAX}',
            'properties.transaction.timeout.ms' = '600000',
            'sink.delivery-guarantee' = 'exactly-once',
            'sink.transactional-id-prefix' = 'instrument-cache.{dataset}'
        )"""


def insert_statement(dataset: str) -> str:
    """Rejects and nothing else reach the sink."""
    return f"""
        INSERT INTO dead_letters
        SELECT
            CONCAT('{dataset}-', CAST(p AS STRING), '-', CAST(o AS STRING)),
            v,
            MAP['reason', ENCODE(reason, 'UTF-8'),
                'topic', ENCODE('{dataset}', 'UTF-8'),
                'partition', ENCODE(CAST(p AS STRING), 'UTF-8'),
                'offset', ENCODE(CAST(o AS STRING), 'UTF-8')]
        FROM (SELECT apply_changes(v, p, o) AS reason, v, p, o FROM changes)
        WHERE reason IS NOT NULL"""


if __name__ == "__main__":
    main()
