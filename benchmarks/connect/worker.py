"""A standalone Kafka Connect worker under the stack's supervisor, and what the benchmark asks of its REST interface."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.connect.plugins import Plugin
from instrument_cache.errors import InstrumentCacheError, Unavailable
from local_stack.components.component import Component, link_all
from local_stack.instance import Instance, write_private

NAME: Final = "connect"
FAILED: Final = "FAILED"
_NO_TASKS: Final = "UNASSIGNED"


@dataclass(frozen=True)
class TaskState:
    """The worst state of a connector's tasks, as Connect tells it, and the error if one failed."""

    state: str
    error: str = ""


def check_installed(instance: Instance) -> None:
    """Raises InstrumentCacheError with the way out."""
    if not any((instance.tools / NAME).glob("connect-runtime-*.jar")):
        raise InstrumentCacheError(
            f"{instance.tools / NAME} holds no Kafka Connect; `local_stack/setup/setup.sh bench` installs it"
        )


def connect_component(kafka: str, rest_port: int, plugins: list[Plugin]) -> Component:
    """The worker. It reads the Kafka at `kafka`, which may be another instance's."""

    def prepare(instance: Instance) -> None:
        # A jar that lies in the plugin path itself would be a plugin of its own, without the jars that it needs.
        link_all(instance.folder("run", "plugins"), [plugin.folder for plugin in plugins])
        write_private(_config_file(instance), worker_config(instance, kafka, rest_port))
        write_private(instance.folder("conf") / "connect-log4j2.properties", _LOG4J)

    return Component(
        name=NAME,
        command=_command,
        prepare=prepare,
        is_ready=lambda instance: httpx.get(f"http://127.0.0.1:{rest_port}/connectors", timeout=2.0).is_success,
        stop_timeout_s=10,
    )


def worker_config(instance: Instance, kafka: str, rest_port: int) -> str:
    """Its properties. Offsets are committed as often as the product makes checkpoints."""
    return f"""\
bootstrap.servers={kafka}
listeners=http://127.0.0.1:{rest_port}
plugin.path={instance.home}/run/plugins
offset.storage.file.filename={instance.folder("data")}/connect.offsets
offset.flush.interval.ms=5000
key.converter=org.apache.kafka.connect.converters.ByteArrayConverter
value.converter=org.apache.kafka.connect.converters.ByteArrayConverter
"""


def _config_file(instance: Instance) -> Path:
    return instance.folder("conf") / "connect.properties"


def _command(instance: Instance) -> list[str]:
    logging = f"-Dlog4j2.configurationFile={instance.home}/conf/connect-log4j2.properties"
    classes = ("-cp", f"{instance.tools / NAME}/*", "org.apache.kafka.connect.cli.ConnectStandalone")
    return ["java", "-Xms256m", "-Xmx1g", logging, *classes, str(_config_file(instance))]


class ConnectRest:
    """Raises Unavailable when the worker does not answer, InstrumentCacheError when it refuses a configuration."""

    def __init__(self, port: int) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30.0, trust_env=False)

    def start(self, name: str, config: dict[str, str]) -> None:
        """Make a connector, or give it a new configuration."""
        self._ask("PUT", f"/connectors/{name}/config", json=config)

    def delete(self, name: str) -> None:
        self._ask("DELETE", f"/connectors/{name}")

    def task_state(self, name: str) -> TaskState:
        """FAILED if the connector or one of its tasks failed; RUNNING if all run."""
        return worst_state(self._ask("GET", f"/connectors/{name}/status", missing={"connector": {}, "tasks": []}))

    def _ask(self, method: str, path: str, missing: Any = None, **request: Any) -> Any:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise Unavailable(f"Kafka Connect does not answer ({error}); --logs FOLDER keeps why") from error
        if answer.status_code == httpx.codes.NOT_FOUND and missing is not None:
            return missing
        if answer.is_error:
            raise InstrumentCacheError(f"Kafka Connect refuses {method} {path}: {answer.text[:800]}")
        return answer.json() if answer.content else None


def worst_state(status: dict[str, Any]) -> TaskState:
    """The answer of /status → one state."""
    parts = [status["connector"], *status["tasks"]]
    for part in parts:
        if part.get("state") == FAILED:
            return TaskState(FAILED, root_cause(part.get("trace", "")))
    states = {task["state"] for task in status["tasks"]} - {"RUNNING"}
    return TaskState(min(states) if states else "RUNNING" if status["tasks"] else _NO_TASKS)


def root_cause(trace: str) -> str:
    """The last cause of a Java stack trace, in one line."""
    lines = trace.splitlines() or [""]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes[-1] if causes else lines[0])[:300]


_LOG4J: Final = """\
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1} %m%n
logger.scan.name = org.apache.kafka.connect.runtime.isolation
logger.scan.level = ERROR
"""
