"""One instance of the laptop stack: its folder, its ports, its secrets and the environment of its processes.

ICACHE_HOME names the folder and ICACHE_PORT_OFFSET moves every port, so that a second instance runs beside the first.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from instrument_cache.settings import Environment, environment

PROJECT: Final = Path(__file__).resolve().parent.parent
DATASET: Final = environment().text("ICACHE_DATASET", "instruments")
# Parts that run only if `icache up --with NAME` asked for them; it remembers them for the other commands.
OPTIONAL: Final = ("schema-registry",)
SCHEMA_REGISTRY_API: Final = "/apis/ccompat/v7"

# Every port of the stack, before the offset. docs/local-stack.md lists them too.
PORTS: Final = {
    "lookup": 8000,
    "lookup-changes": 8001,
    "lookup-rpc": 8002,
    "lookup-rpc-operations": 8003,
    "airflow": 8080,
    "flink": 8081,
    "simulator": 8082,
    "pod-runner": 8083,
    "s3": 8084,
    "exporter": 8085,
    "schema-registry": 8086,
    "schema-registry-management": 8087,
    "s3-second": 8088,
    "redis": 16379,
    "kafka": 19092,
    "kafka-controller": 19093,
    "flink-rpc": 16123,
    "flink-blob": 16124,
    "flink-taskmanager-rpc": 16125,
    "flink-taskmanager-data": 16126,
}
# Of these, what the environment says counts.
CHOSEN: Final = (
    "ICACHE_ALERT_DEADLINE_S",
    "ICACHE_ALERT_MAIL_FROM",
    "ICACHE_ALERT_MAIL_TO",
    "ICACHE_ALERT_PAGERDUTY_KEY",
    "ICACHE_ALERT_PAGERDUTY_KEY_FILE",
    "ICACHE_ALERT_PAGERDUTY_URL",
    "ICACHE_ALERT_REPEAT_S",
    "ICACHE_ALERT_SLACK_URL",
    "ICACHE_ALERT_SLACK_URL_FILE",
    "ICACHE_ALERT_SMTP_URL",
    "ICACHE_ALERT_SMTP_URL_FILE",
    "ICACHE_ALERT_TIER_1",
    "ICACHE_ALERT_TIER_2",
    "ICACHE_ALERT_TIER_3",
    "ICACHE_BACKUP_ENCRYPTION_KEY",
    "ICACHE_BACKUP_ENCRYPTION_KEY_FILE",
    "ICACHE_BACKUP_KEEP_COUNT",
    "ICACHE_BACKUP_LOCK_HOURS",
    "ICACHE_BACKUP_PUBLIC_KEYS",
    "ICACHE_BACKUP_RDB",
    "ICACHE_SCHEDULE_AUDIT_VERIFY",
    "ICACHE_SCHEDULE_CACHE_BACKUP",
    "ICACHE_SCHEDULE_CACHE_RECONCILE",
    "ICACHE_SCHEDULE_CAPACITY_REPORT",
    "ICACHE_SCHEDULE_DATA_QUALITY",
    "ICACHE_SCHEDULE_DR_DRILL",
    "ICACHE_SCHEDULE_FAILOVER_DRILL",
    "ICACHE_SCHEDULE_READINESS_SCORE",
    "ICACHE_SCHEDULE_RETENTION",
    "ICACHE_SCHEDULE_SECRET_ROTATION",
    "ICACHE_SCHEDULE_SLO_REPORT",
)
SECRETS: Final = (
    "redis_password",
    "airflow_password",
    "airflow_jwt_secret",
    "airflow_api_secret",
    "airflow_fernet_key",
    "s3_access_key",
    "s3_secret_key",
    "s3_second_access_key",
    "s3_second_secret_key",
    "backup_signing_key",
    "source_token",
    "pod_runner_token",
)


@dataclass(frozen=True)
class Instance:
    """Where an instance lives. Make it with `Instance.from_environment`."""

    home: Path
    tools: Path
    port_offset: int

    @classmethod
    def from_environment(cls, env: Environment | None = None) -> Instance:
        """Raises SettingsError for an offset that moves a port out of range."""
        env = env or environment()
        return cls(
            home=Path(env.text("ICACHE_HOME", str(PROJECT / ".icache"))).absolute(),
            tools=Path(env.text("ICACHE_TOOLS", str(PROJECT / ".tools"))).absolute(),
            port_offset=env.integer("ICACHE_PORT_OFFSET", default=0, low=0, high=40_000),
        )

    def port(self, name: str) -> int:
        return PORTS[name] + self.port_offset

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port(name)}"

    def folder(self, *parts: str) -> Path:
        """A folder below the home, made if it is not there, closed to others."""
        path = self.home.joinpath(*parts)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    @property
    def kafka(self) -> str:
        return f"127.0.0.1:{self.port('kafka')}"

    @property
    def python(self) -> Path:
        return self.tools / "airflow" / "bin" / "python"

    @property
    def flink_python(self) -> Path:
        return self.tools / "flink" / "bin" / "python"

    def make_secrets(self) -> None:
        """Make every secret that is not there yet, each a file of mode 0600."""
        folder = self.folder("secrets")
        for name in SECRETS:
            path = folder / name
            if not path.exists() or not path.read_text():
                write_private(path, _new_secret(name))

    def secret(self, name: str) -> str:
        return (self.home / "secrets" / name).read_text(encoding="utf-8")

    @property
    def redis_url(self) -> str:
        return f"redis://:{self.secret('redis_password')}@127.0.0.1:{self.port('redis')}/0"

    @property
    def _password_file(self) -> str:
        return str(self.home / "secrets" / "redis_password")

    @property
    def options(self) -> tuple[str, ...]:
        """The optional parts that this instance runs."""
        path = self.home / "conf" / "options"
        return tuple(path.read_text(encoding="utf-8").split()) if path.exists() else ()

    def choose(self, options: Iterable[str]) -> None:
        """Run these optional parts, and no others."""
        write_private(self.folder("conf") / "options", " ".join(sorted(set(options))))

    def registry_setting(self) -> dict[str, str]:
        """Where the instance's schema registry is, if it runs one."""
        url = self.url("schema-registry") + SCHEMA_REGISTRY_API
        return {"ICACHE_SCHEMA_REGISTRY_URL": url} if "schema-registry" in self.options else {}

    def settings(self) -> dict[str, str]:
        """Every ICACHE_ setting that the product's processes read; on a cluster a Secret holds the same."""
        return {
            **self.registry_setting(),
            "ICACHE_DATASET": DATASET,
            "ICACHE_CONTRACTS": str(PROJECT / "contracts"),
            # They read the password for each connection, so that it can be rotated while they run.
            "ICACHE_REDIS_URL": f"redis://127.0.0.1:{self.port('redis')}/0?password_file={quote(self._password_file)}",
            "ICACHE_KAFKA_BOOTSTRAP": self.kafka,
            "ICACHE_FLINK_URL": self.url("flink"),
            "ICACHE_S3_ENDPOINT": self.url("s3"),
            "ICACHE_S3_ACCESS_KEY": self.secret("s3_access_key"),
            "ICACHE_S3_SECRET_KEY": self.secret("s3_secret_key"),
            "ICACHE_S3_BUCKET": "instrument-cache",
            "ICACHE_S3_SECOND_ENDPOINT": self.url("s3-second"),
            "ICACHE_S3_SECOND_ACCESS_KEY": self.secret("s3_second_access_key"),
            "ICACHE_S3_SECOND_SECRET_KEY": self.secret("s3_second_secret_key"),
            "ICACHE_S3_SECOND_BUCKET": "instrument-cache",
            "ICACHE_BACKUP_BUCKET": "instrument-cache-backup",
            # A laptop keeps three hours: a day of a large cache would fill its disk.
            "ICACHE_BACKUP_KEEP_COUNT": "12",
            "ICACHE_BACKUP_LOCK_HOURS": "1",
            "ICACHE_BACKUP_SIGNING_KEY": self.secret("backup_signing_key"),
            "ICACHE_ROTATION_HOLDER": f"folder:{self.home / 'secrets'}",
            "ICACHE_ROTATION_SECRETS": "redis:default=redis_password",
            "ICACHE_ROTATION_GRACE_S": "2",
            "ICACHE_ROTATION_WATCH_S": "5",
            "ICACHE_SOURCE_URL": f"sow+{self.url('simulator')}/{DATASET}",
            "ICACHE_SOURCE_TOKEN": self.secret("source_token"),
            "ICACHE_LOOKUP_URL": self.url("lookup"),
            "ICACHE_AIRFLOW_URL": self.url("airflow"),
            "ICACHE_DOCTOR_FOLDERS": f"{self.home}:{self.home / 'data'}",
            "ICACHE_DOCTOR_SUPERVISOR_LOG": str(self.home / "log" / "supervisor.log"),
            "ICACHE_LOG_FORMAT": os.environ.get("ICACHE_LOG_FORMAT", "json"),
            "ICACHE_LOG_LEVEL": os.environ.get("ICACHE_LOG_LEVEL", "INFO"),
            **{name: os.environ[name] for name in CHOSEN if name in os.environ},
        }

    def base_environment(self) -> dict[str, str]:
        """What every process of the instance gets. ICACHE_INSTANCE marks it, so that none is ever left behind."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ", "JAVA_HOME") if name in os.environ}
        return {
            **kept,
            "ICACHE_INSTANCE": str(self.home),
            "ICACHE_HOME": str(self.home),
            "ICACHE_TOOLS": str(self.tools),
            "ICACHE_PORT_OFFSET": str(self.port_offset),
            "PYTHONUNBUFFERED": "1",
            # Programs that set their own title would write it over the environment, and the mark with it.
            "SPT_NOENV": "1",
        }


def _new_secret(name: str) -> str:
    if name == "airflow_fernet_key":
        from cryptography.fernet import Fernet

        return Fernet.generate_key().decode()
    if name == "backup_signing_key":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_urlsafe(12 if name == "airflow_password" else 24)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    scratch = path.with_suffix(".new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    scratch.replace(path)
