"""From a pod and the configuration to what the shim starts: command, directory and environment."""

import os
from collections.abc import Mapping
from pathlib import Path

from local_stack.pod_runner.config import Image, RunnerConfig
from local_stack.pod_runner.status import Json
from local_stack.pod_runner.variables import container_variables, expand

INSTANCE_VARIABLE = "ICACHE_INSTANCE"  # by it the stack finds what it left running
_BASE = {"PATH": os.defpath, "HOME": "/", "LANG": "C.UTF-8", "TZ": "UTC"}


def build_launch(pod: Json, config: RunnerConfig, run_dir: Path, environ: Mapping[str, str] = os.environ) -> Json:
    """Return the shim's input for a checked pod. It may hold secrets: it is for the shim's stdin, never for a file."""
    container = pod["spec"]["containers"][0]
    image = config.images[container["image"]]
    variables = container_variables(container, config)
    given = [*(container.get("command") or ()), *(container.get("args") or ())]
    return {
        "argv": [*image.command_prefix, *(expand(word, variables) for word in given)],
        "cwd": str(image.cwd),
        "env": {**_image_environment(image, environ), **variables, **instance_environment(environ)},
        "run_dir": str(run_dir),
        "log_bytes_max": config.log_bytes_max,
    }


def instance_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the one variable that marks every process of a stack, if the runner itself has it."""
    return {name: environ[name] for name in (INSTANCE_VARIABLE,) if name in environ}


def _image_environment(image: Image, environ: Mapping[str, str]) -> dict[str, str]:
    # Nothing else of the runner's environment: its secrets are not the pods'.
    base = {name: environ.get(name) or default for name, default in _BASE.items()} | image.env
    return {**base, "PATH": os.pathsep.join([*image.path_prepend, base["PATH"]])}
