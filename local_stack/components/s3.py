"""S3: versitygw over a folder, for checkpoints, savepoints and reports."""

from __future__ import annotations

from instrument_cache.connections import s3_client
from instrument_cache.settings import Environment, s3_settings
from local_stack.components.component import Component, answers
from local_stack.instance import Instance


def _command(instance: Instance) -> list[str]:
    return [
        str(instance.tools / "bin" / "versitygw"),
        *("--port", f"127.0.0.1:{instance.port('s3')}"),
        *("--health", "/health", "--quiet"),
        *("posix", "--versioning-dir", str(instance.folder("data", "s3-versions")), str(instance.folder("data", "s3"))),
    ]


def _environment(instance: Instance) -> dict[str, str]:
    return {"ROOT_ACCESS_KEY": instance.secret("s3_access_key"), "ROOT_SECRET_KEY": instance.secret("s3_secret_key")}


def _make_bucket(instance: Instance) -> None:
    settings = s3_settings(Environment(instance.settings()))
    client = s3_client(settings)
    if settings.bucket not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=settings.bucket)


S3 = Component(
    name="s3",
    command=_command,
    environment=_environment,
    is_ready=lambda instance: answers(instance.url("s3") + "/health"),
    after_start=_make_bucket,
    ports=("s3",),
)
