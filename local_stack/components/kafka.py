"""Kafka: one broker that is its own KRaft controller."""

from __future__ import annotations

import subprocess

from instrument_cache.errors import InstrumentCacheError
from instrument_cache.kafka import MESSAGE_BYTES_MAX
from local_stack.components.component import Component
from local_stack.instance import DATASET, Instance, write_private

PARTITIONS = 8
# Any 16 bytes in base64: it only has to stay the same.
_CLUSTER_ID = "aW5zdHJ1bWVudGNhY2hlMQ"


def _config(instance: Instance) -> str:
    broker, controller = instance.port("kafka"), instance.port("kafka-controller")
    return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={instance.folder("data", "kafka")}
num.partitions={PARTITIONS}
auto.create.topics.enable=false
message.max.bytes={MESSAGE_BYTES_MAX}
replica.fetch.max.bytes={MESSAGE_BYTES_MAX}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.max.timeout.ms=900000
group.initial.rebalance.delay.ms=0
"""


def _java(instance: Instance, *arguments: str) -> list[str]:
    return ["java", *arguments[:-1], "-cp", f"{instance.tools}/kafka/*", *arguments[-1].split()]


def _prepare(instance: Instance) -> None:
    config = instance.folder("conf") / "kafka.properties"
    write_private(config, _config(instance))
    write_private(instance.home / "conf" / "log4j2.properties", _LOG4J)
    if (instance.folder("data", "kafka") / "meta.properties").exists():
        return
    command = _java(
        instance, f"kafka.tools.StorageTool format --ignore-formatted --cluster-id {_CLUSTER_ID} --config {config}"
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise InstrumentCacheError(f"Kafka's storage could not be formatted: {done.stderr.strip()[-400:]}")


def _command(instance: Instance) -> list[str]:
    logging = f"-Dlog4j2.configurationFile={instance.home}/conf/log4j2.properties"
    # The quick compiler alone: on two cores the optimizing one takes more than it gives back within minutes.
    options = ("-Xms256m", "-Xmx512m", "-XX:+UseG1GC", "-XX:TieredStopAtLevel=1", logging)
    return _java(instance, *options, f"kafka.Kafka {instance.home}/conf/kafka.properties")


def _is_ready(instance: Instance) -> bool:
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": instance.kafka, "log_level": 0})
    return bool(admin.list_topics(timeout=2).brokers)


def _make_topics(instance: Instance) -> None:
    from feed.topics import ensure_topics

    ensure_topics(instance.kafka, DATASET, partitions=PARTITIONS, replication=1)


_LOG4J = """\
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1} %m%n
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = INFO
"""

KAFKA = Component(
    name="kafka",
    command=_command,
    prepare=_prepare,
    is_ready=_is_ready,
    after_start=_make_topics,
    ports=("kafka", "kafka-controller"),
    stop_timeout_s=8,
)
