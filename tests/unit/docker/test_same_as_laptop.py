"""The containers' configuration is the laptop's: only places differ."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_stack.components import airflow, flink, product
from local_stack.components.component import Component
from local_stack.components.kafka import KAFKA
from local_stack.components.redis import REDIS
from local_stack.components.s3 import S3, S3_SECOND
from local_stack.instance import PROJECT, Instance
from tests.unit.docker.conftest import Services

DOCKER = PROJECT / "docker"
# Addresses and folders; and S3, which docker/flink_config.py adds.
FLINK_PLACES = {
    *("jobmanager.rpc.address", "jobmanager.bind-host", "rest.address", "rest.bind-address"),
    *("taskmanager.host", "taskmanager.bind-host", "io.tmp.dirs", "env.log.dir", "env.pid.dir"),
    *("s3.endpoint", "s3.access-key", "s3.secret-key"),
    *("execution.checkpointing.dir", "execution.checkpointing.savepoint-dir"),
}
AIRFLOW_PLACES = {
    *("AIRFLOW__CORE__DAGS_FOLDER", "AIRFLOW__CORE__PLUGINS_FOLDER", "AIRFLOW__LOGGING__BASE_LOG_FOLDER"),
    *("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"),
    "AIRFLOW__API__HOST",
    # `icache up` starts the DAGs one after the other; here they start by themselves.
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION",
}
KAFKA_PLACES = {
    *("controller.quorum.voters", "listeners", "advertised.listeners", "listener.security.protocol.map"),
    *("inter.broker.listener.name", "log.dirs"),
}


def test_flink(laptop: Instance) -> None:
    containers = yaml.safe_load((DOCKER / "flink.yaml").read_text())
    assert _without(containers, FLINK_PLACES) == _without(flink.cluster_config(laptop), FLINK_PLACES)


def test_flink_layout_is_the_laptops(laptop: Instance) -> None:
    """What the laptop links into Flink's lib and plugins, the image's build puts there too."""
    flink.prepare(laptop)
    dockerfile = (DOCKER / "flink.Dockerfile").read_text()
    for jar in sorted((laptop.home / "run" / "flink-lib").iterdir()):
        source = jar.readlink()
        if source.parent.name == "lib":
            assert '"$home"/lib/*.jar' in dockerfile
        else:
            assert f"{_family(source)}-*.jar" in dockerfile
    for jar in (laptop.home / "run" / "flink-plugins" / "s3-fs-presto").iterdir():
        assert f"{_family(jar)}-*.jar /opt/flink/plugins/s3-fs-presto/" in dockerfile


def test_flink_logging(laptop: Instance) -> None:
    flink.prepare(laptop)
    for name in ("log4j-console.properties", "log4j-cli.properties"):
        assert (DOCKER / name).read_text() == (laptop.home / "conf" / "flink" / name).read_text()


def test_flink_environment(laptop: Instance) -> None:
    """The malloc settings too make the job fast."""
    dockerfile = (DOCKER / "flink.Dockerfile").read_text()
    for name, value in flink.flink_environment(laptop).items():
        if name.startswith("MALLOC_"):
            assert f"{name}={value}" in dockerfile


def test_kafka(laptop: Instance, services: Services) -> None:
    (laptop.folder("data", "kafka") / "meta.properties").touch()  # as if its storage were formatted: that needs a JVM
    KAFKA.prepare(laptop)
    lines = (laptop.home / "conf" / "kafka.properties").read_text().splitlines()
    on_laptop = dict(line.split("=", 1) for line in lines)
    containers = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in services["kafka"]["environment"].items()
        if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"
    }
    assert _without(containers, KAFKA_PLACES) == _without(on_laptop, KAFKA_PLACES)


def test_redis(laptop: Instance, services: Services) -> None:
    REDIS.prepare(laptop)
    on_laptop = _directives((laptop.home / "conf" / "redis.conf").read_text())
    in_container = _directives(services["redis"]["command"][0].split("<<END\n")[1].split("\nEND")[0])
    # In a container nobody looks for left-over processes by their environment, so Redis may show its title.
    places = {"bind", "dir", "requirepass", "set-proc-title"}
    assert _without(in_container, places) == _without(on_laptop, places)


def test_s3(laptop: Instance, services: Services) -> None:
    """Both regions are served alike."""
    for part in (S3, S3_SECOND):
        arguments = services[part.name]["command"][0].rpartition("/versitygw ")[2].split()
        on_laptop = part.command(laptop)[1:]
        port, folders = on_laptop[1].rpartition(":")[2], on_laptop[-2:]
        expected = ["--port", f":{port}", *on_laptop[2:-2], "/data/versions", "/data/objects"]
        assert arguments == expected, folders


def test_simulator(laptop: Instance, services: Services) -> None:
    places = {"--host", "--data-dir", "--token-file"}
    on_laptop = _options(product.SIMULATOR.command(laptop)[1:])
    assert _without(_options(services["simulator"]["command"][1:]), places) == _without(on_laptop, places)


def test_airflow(laptop: Instance, services: Services) -> None:
    """Its secrets come as `…_CMD`, its folders are the image's."""
    dockerfile = (DOCKER / "airflow.Dockerfile").read_text()
    environment = services["airflow-scheduler"]["environment"]
    for name, value in airflow.airflow_environment(laptop).items():
        if name.startswith("AIRFLOW__") and name not in AIRFLOW_PLACES:
            assert f"{name}_CMD" in environment or f"{name}={value}" in dockerfile or environment[name] == value, name


def test_exporter(laptop: Instance, services: Services) -> None:
    on_laptop = product.EXPORTER.command(laptop)[1:]
    in_container = services["exporter"]["command"][1:]
    assert _without(_options(in_container), {"--host"}) == _without(_options(on_laptop), {"--host"})


def test_the_exporter_reads_what_the_feed_tells(laptop: Instance, services: Services) -> None:
    told, read = (services[name]["environment"]["ICACHE_FEED_STATE_FILE"] for name in ("feed", "exporter"))
    assert told == read
    volumes = {name: services[name]["volumes"][0] for name in ("feed", "exporter")}
    assert {volume["source"] for volume in volumes.values()} == {"feed"}
    assert all(told.startswith(volume["target"]) for volume in volumes.values())
    assert volumes["exporter"]["read_only"]
    environments = [part.environment(laptop) for part in (product.FEED, product.EXPORTER)]
    assert len({environment["ICACHE_FEED_STATE_FILE"] for environment in environments}) == 1


@pytest.mark.parametrize("part", airflow.AIRFLOW, ids=lambda part: part.name)
def test_airflow_commands(part: Component, laptop: Instance, services: Services) -> None:
    assert services[part.name]["command"][1:] == part.command(laptop)[3:]


def test_lookup(laptop: Instance) -> None:
    instruction = (DOCKER / "lookup.Dockerfile").read_text().rpartition("\nCMD ")[2]
    assert yaml.safe_load(instruction)[1:] == _everywhere(product.LOOKUP.command(laptop))


@pytest.mark.parametrize("part", [product.LOOKUP_CHANGES, product.LOOKUP_RPC], ids=lambda part: part.name)
def test_the_lookup_services_other_processes(part: Component, laptop: Instance, services: Services) -> None:
    assert services[part.name]["command"][1:] == _everywhere(part.command(laptop))
    assert services[part.name]["image"] == services["lookup"]["image"]


def test_the_page_may_listen_to_the_change_stream(laptop: Instance, services: Services) -> None:
    for name, part in (("lookup", product.LOOKUP), ("lookup-changes", product.LOOKUP_CHANGES)):
        for variable in ("ICACHE_LOOKUP_CHANGES_URL", "ICACHE_LOOKUP_CHANGES_ORIGINS"):
            assert services[name]["environment"].get(variable) == part.environment(laptop).get(variable)


def _everywhere(command: list[str]) -> list[str]:
    """A command of the laptop, without its program, listening on every address."""
    return ["0.0.0.0" if part == "127.0.0.1" else part for part in command[1:]]


def _without(settings: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in names}


def _directives(text: str) -> dict[str, str]:
    return dict(line.strip().split(" ", 1) for line in text.splitlines() if line.strip())


def _options(command: list[str]) -> dict[str, str]:
    """`-m MODULE --name value …` as a dictionary."""
    return dict(zip(command[::2], command[1::2], strict=True))


def _family(jar: Path) -> str:
    """The name without its version."""
    return re.split(r"-\d", jar.name)[0]
