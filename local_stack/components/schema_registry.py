"""Apicurio: a schema registry that speaks Confluent's API. Optional: only Avro on the wire needs one."""

from __future__ import annotations

from pathlib import Path

from instrument_cache.errors import InstrumentCacheError
from local_stack.components.component import Component, answers
from local_stack.instance import SCHEMA_REGISTRY_API, Instance


def _prepare(instance: Instance) -> None:
    for part in (_java(instance), _application(instance)):
        if not part.exists():
            raise InstrumentCacheError(f"{part} is missing; `local_stack/setup/setup.sh schema-registry` installs it")
    instance.folder("data", "schema-registry")


def _java(instance: Instance) -> Path:
    # Apicurio needs Java 21 or newer and the distribution has 17, so setup brings a runtime for it alone.
    return instance.tools / "java" / "home" / "bin" / "java"


def _application(instance: Instance) -> Path:
    return instance.tools / "apicurio" / "quarkus-run.jar"


def _command(instance: Instance) -> list[str]:
    options = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    return [str(_java(instance)), *options, "-jar", str(_application(instance))]


def _environment(instance: Instance) -> dict[str, str]:
    database = instance.home / "data" / "schema-registry" / "registry"
    return {
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_PORT": str(instance.port("schema-registry")),
        "QUARKUS_MANAGEMENT_HOST": "127.0.0.1",
        "QUARKUS_MANAGEMENT_PORT": str(instance.port("schema-registry-management")),
        # Records carry the ids of schemas: a registry that forgets them makes the log unreadable. Without the last
        # option H2 writes half a second after it said so.
        "APICURIO_STORAGE_KIND": "sql",
        "APICURIO_STORAGE_SQL_KIND": "h2",
        "APICURIO_DATASOURCE_URL": f"jdbc:h2:file:{database};WRITE_DELAY=0",
    }


SCHEMA_REGISTRY = Component(
    name="schema-registry",
    command=_command,
    environment=_environment,
    prepare=_prepare,
    is_ready=lambda instance: answers(f"{instance.url('schema-registry')}{SCHEMA_REGISTRY_API}/subjects"),
    ports=("schema-registry", "schema-registry-management"),
    ready_timeout_s=180.0,
)
