"""Flink: the standalone cluster that the wheel ships, with the Kafka connector and S3 added."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from instrument_cache.flink_rest import FlinkRest
from local_stack.components.component import Component, answers, link_all
from local_stack.instance import Instance, write_private

SLOTS = 2


def cluster_config(instance: Instance) -> dict[str, object]:
    """Flink's configuration. Times in Flink's own notation."""
    return {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.bind-host": "127.0.0.1",
        "jobmanager.rpc.port": instance.port("flink-rpc"),
        "jobmanager.memory.process.size": "900m",
        "blob.server.port": instance.port("flink-blob"),
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": instance.port("flink"),
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.rpc.port": instance.port("flink-taskmanager-rpc"),
        "taskmanager.data.port": instance.port("flink-taskmanager-data"),
        "taskmanager.numberOfTaskSlots": SLOTS,
        "taskmanager.memory.process.size": "2300m",
        # Python's workers take what they need outside of it, and the job keeps no state: the heap can use the rest.
        "taskmanager.memory.managed.size": "64m",
        "taskmanager.memory.network.max": "64m",
        "parallelism.default": SLOTS,
        # A dead TaskManager is noticed in seconds; the defaults take almost a minute.
        "heartbeat.interval": "2 s",
        "heartbeat.timeout": "8 s",
        # A task whose Python worker hangs cannot be cancelled: its TaskManager ends and starts anew. Default: 3 min.
        "task.cancellation.timeout": "30 s",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "500 ms",
        "restart-strategy.exponential-delay.max-backoff": "5 s",
        "execution.checkpointing.interval": "5 s",
        "execution.checkpointing.timeout": "2 min",
        "execution.checkpointing.tolerable-failed-checkpoints": 1000,
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.num-retained": 3,
        "execution.checkpointing.dir": "s3://instrument-cache/checkpoints",
        "execution.checkpointing.savepoint-dir": "s3://instrument-cache/savepoints",
        "s3.endpoint": instance.url("s3"),
        "s3.path.style.access": True,
        "s3.access-key": instance.secret("s3_access_key"),
        "s3.secret-key": instance.secret("s3_secret_key"),
        # flink-python lies in the cluster's own lib: with parent-first nothing is compiled anew for each job.
        "classloader.resolve-order": "parent-first",
        "io.tmp.dirs": str(instance.folder("run", "flink-tmp")),
        "env.log.dir": str(instance.folder("log", "flink")),
        "env.pid.dir": str(instance.folder("run")),
        # It only coordinates: the optimizing compiler would take the cores from those who work.
        "env.java.opts.jobmanager": "-XX:TieredStopAtLevel=1",
        # The quick compiler and the plain collector: measured in docs/performance.md, on two cores. The young
        # generation is large because each collection copies the bundle that is under way.
        "env.java.opts.taskmanager": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmn1000m",
        "env.java.opts.all": "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED"
        " --add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED"
        " --add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.net=ALL-UNNAMED"
        " --add-opens=java.base/java.io=ALL-UNNAMED --add-opens=java.base/java.nio=ALL-UNNAMED"
        " --add-opens=java.base/sun.nio.ch=ALL-UNNAMED --add-opens=java.base/java.text=ALL-UNNAMED"
        " --add-opens=java.base/java.time=ALL-UNNAMED --add-opens=java.base/java.util=ALL-UNNAMED"
        " --add-opens=java.base/java.util.concurrent=ALL-UNNAMED"
        " --add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED"
        " --add-opens=java.base/java.util.concurrent.locks=ALL-UNNAMED",
    }


def flink_home(instance: Instance) -> Path:
    """The folder of the wheel."""
    return next((instance.tools / "flink" / "lib").glob("python3.*/site-packages/pyflink"))


def prepare(instance: Instance) -> None:
    """Write the configuration and the folders of links that stand for Flink's lib/ and plugins/."""
    conf = instance.folder("conf", "flink")
    write_private(conf / "config.yaml", yaml.safe_dump(cluster_config(instance)))
    write_private(conf / "log4j-console.properties", _LOG4J)
    write_private(conf / "log4j-cli.properties", _LOG4J.replace("rootLogger.level = INFO", "rootLogger.level = WARN"))
    home, jars = flink_home(instance), instance.tools / "flink-jars"
    connector = next(jars.glob("flink-sql-connector-kafka-*.jar"))
    python = next((home / "opt").glob("flink-python-*.jar"))
    link_all(instance.folder("run", "flink-lib"), [*sorted((home / "lib").glob("*.jar")), connector, python])
    s3_file_system = next(jars.glob("flink-s3-fs-presto-*.jar"))
    link_all(instance.folder("run", "flink-plugins", "s3-fs-presto"), [s3_file_system])


def flink_environment(instance: Instance) -> dict[str, str]:
    """For the cluster's processes and for `flink run`."""
    python_bin = instance.flink_python.parent
    return {
        **instance.settings(),
        "PATH": f"{python_bin}{os.pathsep}{os.environ['PATH']}",
        "FLINK_CONF_DIR": str(instance.home / "conf" / "flink"),
        "FLINK_LIB_DIR": str(instance.home / "run" / "flink-lib"),
        "FLINK_PLUGINS_DIR": str(instance.home / "run" / "flink-plugins"),
        "FLINK_HOME": str(flink_home(instance)),
        # Arrow's buffers are kept for the next batch and not given back and faulted in again.
        "MALLOC_MMAP_THRESHOLD_": "134217728",
        "MALLOC_TRIM_THRESHOLD_": "268435456",
        "MALLOC_TOP_PAD_": "67108864",
    }


def _taskmanager_ready(instance: Instance) -> bool:
    return FlinkRest(instance.url("flink")).slots_total() >= SLOTS


_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = ConsoleAppender
appender.console.name = ConsoleAppender
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
logger.kafka.name = org.apache.kafka
logger.kafka.level = WARN
logger.pekko.name = org.apache.pekko
logger.pekko.level = WARN
logger.metrics.name = org.apache.flink.metrics.MetricGroup
logger.metrics.level = ERROR
"""

JOBMANAGER = Component(
    name="flink-jobmanager",
    command=lambda instance: [str(flink_home(instance) / "bin" / "jobmanager.sh"), "start-foreground"],
    environment=flink_environment,
    prepare=prepare,
    is_ready=lambda instance: answers(instance.url("flink") + "/overview"),
    ports=("flink", "flink-rpc", "flink-blob"),
    needs=("s3",),
)
TASKMANAGER = Component(
    name="flink-taskmanager",
    command=lambda instance: [str(flink_home(instance) / "bin" / "taskmanager.sh"), "start-foreground"],
    environment=flink_environment,
    is_ready=_taskmanager_ready,
    ports=("flink-taskmanager-rpc", "flink-taskmanager-data"),
    needs=("flink-jobmanager",),
)
