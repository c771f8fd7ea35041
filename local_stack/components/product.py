"""The product's own servers: the simulated source, the feed, the lookup service, the exporter, the runner of pods."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import yaml

from instrument_cache.contract import load_contract
from instrument_cache.settings import Environment, contract_path
from local_stack.components.component import Component, answers
from local_stack.components.flink import flink_environment
from local_stack.instance import DATASET, PROJECT, Instance, write_private

FLINK_IMAGE = "instrument-cache-flink:dev"
NAMESPACE = "instrument-cache"


def feed_state_file(instance: Instance) -> Path:
    """Where the feed tells how far it is."""
    return instance.folder("run") / "feed.json"


def feed_state(instance: Instance) -> dict[str, object]:
    """What the feed last told, or nothing."""
    try:
        state: dict[str, object] = msgspec.json.decode(feed_state_file(instance).read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return {}
    return state


def _simulator_command(instance: Instance) -> list[str]:
    contract = load_contract(contract_path(Environment(instance.settings())))
    return [
        *(str(instance.python), "-m", "local_stack.sow_simulator"),
        *("--host", "127.0.0.1", "--port", str(instance.port("simulator"))),
        *("--data-dir", str(instance.folder("data", "simulator")), "--topic", DATASET),
        *("--key-field", contract.key.name, "--version-field", contract.version_field.name),
        *("--token-file", str(instance.home / "secrets" / "source_token")),
    ]


def _feed_environment(instance: Instance) -> dict[str, str]:
    """Of the feed, which tells how far it is, and of the exporter, which passes it on."""
    return {**instance.settings(), "ICACHE_FEED_STATE_FILE": str(feed_state_file(instance))}


def _exporter_command(instance: Instance) -> list[str]:
    port = str(instance.port("exporter"))
    return [str(instance.python), "-m", "exporter", "--host", "127.0.0.1", "--port", port]


def _serves(module: str, *ports: tuple[str, str]) -> Callable[[Instance], list[str]]:
    """The command of a process of the lookup service; `ports` are (option, name of the port)."""

    def command(instance: Instance) -> list[str]:
        options = [part for option, name in ports for part in (option, str(instance.port(name)))]
        return [str(instance.python), "-m", module, "--host", "127.0.0.1", *options]

    return command


def _serving_environment(instance: Instance) -> dict[str, str]:
    """On a laptop nobody has to be told, before a process ends, to send his requests elsewhere."""
    return {**instance.settings(), "ICACHE_LOOKUP_DRAIN_S": "1"}


def _lookup_environment(instance: Instance) -> dict[str, str]:
    return {**_serving_environment(instance), "ICACHE_LOOKUP_CHANGES_URL": instance.url("lookup-changes")}


def _changes_environment(instance: Instance) -> dict[str, str]:
    """The service's page is of another origin: the port makes it one. People call it by either name."""
    page = instance.url("lookup")
    origins = f"{page},{page.replace('127.0.0.1', 'localhost')}"
    return {**_serving_environment(instance), "ICACHE_LOOKUP_CHANGES_ORIGINS": origins}


def _pod_runner_prepare(instance: Instance) -> None:
    image = {
        "cwd": str(PROJECT),
        "env": {
            name: value
            for name, value in flink_environment(instance).items()
            if not name.startswith("ICACHE_") and name != "PATH"
        },
        "path_prepend": [str(instance.flink_python.parent)],
    }
    config = {
        "host": "127.0.0.1",
        "port": instance.port("pod-runner"),
        "namespace": NAMESPACE,
        "token_file": str(instance.home / "secrets" / "pod_runner_token"),
        "state_dir": str(instance.folder("data", "pods")),
        "images": {FLINK_IMAGE: image},
        "secrets": {"instrument-cache": instance.settings()},
    }
    write_private(instance.folder("conf") / "pod-runner.yaml", yaml.safe_dump(json.loads(json.dumps(config))))


def _pod_runner_command(instance: Instance) -> list[str]:
    config = instance.home / "conf" / "pod-runner.yaml"
    return [str(instance.python), "-m", "local_stack.pod_runner", "--config", str(config)]


SIMULATOR = Component(
    name="simulator",
    command=_simulator_command,
    is_ready=lambda instance: answers(instance.url("simulator") + "/healthz"),
    ports=("simulator",),
)
FEED = Component(
    name="feed",
    command=lambda instance: [str(instance.python), "-m", "feed.main"],
    environment=_feed_environment,
    prepare=lambda instance: feed_state_file(instance).unlink(missing_ok=True),
    is_ready=lambda instance: feed_state(instance).get("phase") == "live",
    needs=("kafka", "simulator"),
)
LOOKUP = Component(
    name="lookup",
    command=_serves("lookup_app", ("--port", "lookup")),
    environment=_lookup_environment,
    is_ready=lambda instance: answers(instance.url("lookup") + "/readyz"),
    ports=("lookup",),
    stop_timeout_s=12,
    needs=("redis",),
)
LOOKUP_CHANGES = Component(
    name="lookup-changes",
    command=_serves("lookup_app.changes", ("--port", "lookup-changes")),
    environment=_changes_environment,
    is_ready=lambda instance: answers(instance.url("lookup-changes") + "/readyz"),
    ports=("lookup-changes",),
    stop_timeout_s=12,
    needs=("redis", "kafka"),
)
LOOKUP_RPC = Component(
    name="lookup-rpc",
    command=_serves("lookup_app.rpc", ("--port", "lookup-rpc"), ("--operations-port", "lookup-rpc-operations")),
    environment=_serving_environment,
    is_ready=lambda instance: answers(instance.url("lookup-rpc-operations") + "/readyz"),
    ports=("lookup-rpc", "lookup-rpc-operations"),
    stop_timeout_s=12,
    needs=("redis", "kafka"),
)
EXPORTER = Component(
    name="exporter",
    command=_exporter_command,
    environment=_feed_environment,
    is_ready=lambda instance: answers(instance.url("exporter") + "/healthz"),
    ports=("exporter",),
)
POD_RUNNER = Component(
    name="pod-runner",
    command=_pod_runner_command,
    prepare=_pod_runner_prepare,
    is_ready=lambda instance: answers(instance.url("pod-runner") + "/healthz"),
    ports=("pod-runner",),
)
