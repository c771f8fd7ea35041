"""A real S3 that is slower than it may be, and one that is away."""

from __future__ import annotations

from pathlib import Path

from instrument_cache.doctor import Finding
from instrument_cache.doctor.service_part import look_at_region
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import Environment, S3Settings
from local_stack.instance import Instance
from tests.servers import free_port, free_port_offset, stack_component


def look(settings: S3Settings, limit_ms: int) -> Finding:
    (found,) = look_at_region("first", settings, Environment({"ICACHE_DOCTOR_S3_MS_MAX": str(limit_ms)}))
    return found


def test_a_region_that_is_well_slow_or_away(tmp_path: Path) -> None:
    offset = free_port_offset()
    with stack_component("s3", tmp_path, offset):
        server = Instance(tmp_path, Instance.from_environment().tools, offset)
        keys = server.secret("s3_access_key"), server.secret("s3_secret_key")
        settings = S3Settings(server.url("s3"), *keys, "bucket", "us-east-1")
        ObjectStore(settings).make_bucket()
        assert look(settings, limit_ms=10_000).severity == "ok"
        found = look(settings, limit_ms=1)
        assert (found.part, found.severity) == ("s3:first", "warn")
        assert "ms to list its bucket; 1 ms are expected" in found.sentence
        away = S3Settings(f"http://127.0.0.1:{free_port()}", *keys, "bucket", "us-east-1")
        assert look(away, limit_ms=10_000).severity == "red"
