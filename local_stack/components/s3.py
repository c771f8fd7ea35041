"""S3: versitygw over a folder, for checkpoints, savepoints, reports and backups; a second one is the other region."""

from __future__ import annotations

from instrument_cache.audit.places import audit_regions
from instrument_cache.backup.region import region_settings
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import Environment, S3Settings, s3_second_settings, s3_settings
from local_stack.components.component import Component, answers
from local_stack.instance import Instance


def _command(instance: Instance, name: str) -> list[str]:
    return [
        str(instance.tools / "bin" / "versitygw"),
        *("--port", f"127.0.0.1:{instance.port(name)}"),
        *("--health", "/health", "--quiet"),
        *("posix", "--versioning-dir", str(instance.folder("data", f"{name}-versions"))),
        str(instance.folder("data", name)),
    ]


def _environment(instance: Instance, name: str) -> dict[str, str]:
    secret = name.replace("-", "_")
    return {
        "ROOT_ACCESS_KEY": instance.secret(f"{secret}_access_key"),
        "ROOT_SECRET_KEY": instance.secret(f"{secret}_secret_key"),
    }


def _make_buckets(settings: S3Settings, backup: S3Settings) -> None:
    ObjectStore(settings).make_bucket()
    ObjectStore(backup).make_bucket(object_lock=True)


def _first(instance: Instance) -> None:
    env = Environment(instance.settings())
    _make_buckets(s3_settings(env), region_settings(env)["first"])
    audit_regions(env)[0].objects.make_bucket(object_lock=True)


def _second(instance: Instance) -> None:
    env = Environment(instance.settings())
    settings = s3_second_settings(env)
    if settings:
        _make_buckets(settings, region_settings(env)["second"])
        audit_regions(env)[1].objects.make_bucket(object_lock=True)


S3 = Component(
    name="s3",
    command=lambda instance: _command(instance, "s3"),
    environment=lambda instance: _environment(instance, "s3"),
    is_ready=lambda instance: answers(instance.url("s3") + "/health"),
    after_start=_first,
    ports=("s3",),
)
S3_SECOND = Component(
    name="s3-second",
    command=lambda instance: _command(instance, "s3-second"),
    environment=lambda instance: _environment(instance, "s3-second"),
    is_ready=lambda instance: answers(instance.url("s3-second") + "/health"),
    after_start=_second,
    ports=("s3-second",),
)
