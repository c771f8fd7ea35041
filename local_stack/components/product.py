"""The product's own servers: the simulated source, the feed, the lookup service, the exporter, the runner of pods."""

from __future__ import annotations

import json
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


def _lookup_command(instance: Instance) -> list[str]:
    return [
        *(str(instance.python), "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1"),
        *("--port", str(instance.port("lookup")), "--workers", "1", "--blocking-threads", "4"),
        *("--no-ws", "--process-name", "instrument-cache-lookup", "lookup_app.wsgi:app"),
    ]


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
    command=_lookup_command,
    environment=lambda instance: instance.settings(),
    is_ready=lambda instance: answers(instance.url("lookup") + "/readyz"),
    ports=("lookup",),
    needs=("redis",),
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
