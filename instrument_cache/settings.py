"""Settings, from the environment only. Every name begins with ICACHE_; docs/settings.md has a heading for each."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from instrument_cache.errors import SettingsError

_PROJECT: Final = Path(__file__).resolve().parent.parent
# Lies beside the packages of code that was shipped as a release.
RELEASE_MARK: Final = "release.json"


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where an S3 server is, and with which keys: the two, or those that `keys_file` holds at the time of a request.

    `env` tells where the audit trail of what is written there lies.
    """

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    region: str
    env: Environment | None = field(default=None, repr=False, compare=False)
    keys_file: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    """Typed reads of environment variables that fail with the name, the value and the rule."""

    variables: Mapping[str, str]

    def text(self, name: str, default: str | None = None) -> str:
        value = self.variables.get(name) or default
        if value is None:
            raise SettingsError(f"the setting {name} is missing; docs/settings.md says what it holds")
        return value

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.variables.get(name) or str(default)
        if not value.lstrip("-").isdecimal() or not low <= int(value) <= high:
            raise SettingsError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")
        return int(value)

    def boolean(self, name: str, default: bool) -> bool:
        value = (self.variables.get(name) or str(default)).lower()
        if value not in ("true", "false"):
            raise SettingsError(f"{name} is {value!r}; it must be true or false")
        return value == "true"

    def secret(self, name: str, default: str | None = None) -> str:
        """The variable itself, or the content of the file that NAME_FILE names."""
        path = self.variables.get(f"{name}_FILE")
        if not path:
            return self.text(name, default)
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{name}_FILE is {path!r}, which cannot be read: {error.strerror}") from None


def environment() -> Environment:
    """The process's environment."""
    return Environment(os.environ)


def contract_path(env: Environment | None = None) -> Path:
    """The contract of the dataset that this process serves (ICACHE_CONTRACTS, ICACHE_DATASET).

    Code that was shipped as a release uses the contract that came with it, of the dataset for which it was shipped.
    """
    env = env or environment()
    own, mark = _PROJECT / "contracts", _PROJECT / RELEASE_MARK
    if mark.exists():
        return own / f"{json.loads(mark.read_bytes())['dataset']}.yaml"
    folder = Path(env.text("ICACHE_CONTRACTS", str(own)))
    return folder / f"{env.text('ICACHE_DATASET', 'instruments')}.yaml"


def redis_url(env: Environment | None = None) -> str:
    """ICACHE_REDIS_URL, with its password."""
    return (env or environment()).secret("ICACHE_REDIS_URL")


def s3_settings(env: Environment | None = None) -> S3Settings:
    """The S3 server of checkpoints, savepoints and reports."""
    env = env or environment()
    keys_file = env.variables.get("ICACHE_S3_KEYS_FILE", "")
    return S3Settings(
        endpoint=env.text("ICACHE_S3_ENDPOINT"),
        access_key="" if keys_file else env.secret("ICACHE_S3_ACCESS_KEY"),
        secret_key="" if keys_file else env.secret("ICACHE_S3_SECRET_KEY"),
        keys_file=keys_file,
        bucket=env.text("ICACHE_S3_BUCKET", "instrument-cache"),
        region=env.text("ICACHE_S3_REGION", "us-east-1"),
        env=env,
    )


def s3_second_settings(env: Environment | None = None) -> S3Settings | None:
    """The S3 server of the second region; None if there is no second region."""
    env = env or environment()
    endpoint = env.variables.get("ICACHE_S3_SECOND_ENDPOINT")
    if not endpoint:
        return None
    keys_file = env.variables.get("ICACHE_S3_SECOND_KEYS_FILE", "")
    return S3Settings(
        endpoint=endpoint,
        access_key="" if keys_file else env.secret("ICACHE_S3_SECOND_ACCESS_KEY"),
        secret_key="" if keys_file else env.secret("ICACHE_S3_SECOND_SECRET_KEY"),
        keys_file=keys_file,
        bucket=env.text("ICACHE_S3_SECOND_BUCKET", "instrument-cache"),
        region=env.text("ICACHE_S3_SECOND_REGION", "us-east-1"),
        env=env,
    )
