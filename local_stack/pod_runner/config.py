"""The runner's settings: one JSON or YAML file, checked as a whole before anything starts."""

import ipaddress
import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

TOKEN_CHARACTERS_MIN = 16
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class ConfigError(Exception):
    """A setting that cannot be used; the message names it, the rule and the way out."""


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How pods of one image name run here."""

    cwd: Path  # working directory of the process
    command_prefix: list[str] = []  # stands before the pod's command and args
    env: dict[str, str] = {}  # as ENV of a Dockerfile: the pod's own variables override it
    path_prepend: list[str] = []  # directories before the PATH of the runner


class RunnerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file's content."""

    token_file: Path  # bearer token that every request carries, mode 0600
    state_dir: Path  # pods and their logs, made with mode 0700
    images: dict[str, Image]
    host: str = "127.0.0.1"
    port: int = 8083
    namespace: str = "instrument-cache"
    secrets: dict[str, dict[str, str]] = {}  # name → key → value, for secretKeyRef and secretRef
    config_maps: dict[str, dict[str, str]] = {}
    finished_pods_max: int = 200  # older finished pods are deleted with their logs
    log_bytes_max: int = 64 * 1024 * 1024  # per pod

    def token(self) -> str:
        """Read the bearer token."""
        return self.token_file.read_text(encoding="utf-8").strip()


def load_config(path: Path) -> RunnerConfig:
    """Read and check the settings in `path` (JSON is YAML too)."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        config = msgspec.convert(content, RunnerConfig, dec_hook=_decode_path)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; name a settings file with --config") from error
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path} is not a pod runner configuration: {error}; config.py lists the settings") from error
    _check(config)
    if config.secrets and path.stat().st_mode & 0o077:
        raise ConfigError(f"{path} holds secrets and is open to other users; run chmod 600 on it")
    return config


def _decode_path(kind: type, value: Any) -> Any:
    return kind(value)


def _check(config: RunnerConfig) -> None:
    _check_host(config.host)
    if not 0 < config.port < 65536:
        raise ConfigError(f"port {config.port} is not in 1..65535; choose a free port")
    if not _NAMESPACE.fullmatch(config.namespace):
        raise ConfigError(f"namespace {config.namespace!r} is not a DNS label; use lower-case letters, digits and -")
    for name, image in config.images.items():
        if not image.cwd.is_dir():
            raise ConfigError(
                f"cwd {str(image.cwd)!r} of image {name!r} is no directory; make it or change the setting"
            )
    _check_token(config)


def _check_host(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigError(
            f"host {host!r} is not a loopback address: pods are unconfined processes of this user, "
            "so the runner serves this machine only; use 127.0.0.1"
        )


def _check_token(config: RunnerConfig) -> None:
    path = config.token_file
    try:
        token, mode = config.token(), path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"cannot read token_file {path}: {error.strerror}; put a random token there") from error
    if len(token) < TOKEN_CHARACTERS_MIN:
        raise ConfigError(
            f"the token in {path} has {len(token)} characters, at least {TOKEN_CHARACTERS_MIN} are needed"
        )
    if mode & 0o077:
        raise ConfigError(f"token_file {path} is open to other users (mode {mode & 0o777:04o}); run chmod 600 on it")
