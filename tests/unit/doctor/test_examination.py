"""Everything away: each part is named in seconds, and docs/doctor.md has it."""

from __future__ import annotations

import time
from pathlib import Path

from instrument_cache.doctor import examine, is_red
from instrument_cache.settings import Environment
from local_stack.instance import PROJECT
from tests.servers import free_port

PARTS = {
    *("redis", "kafka", "flink-jobmanager", "feed", "source", "lookup", "airflow", "s3:first", "s3:second"),
    *("stream", "account", "rejects", "proofs", "operations", "clock", "disk", "processes", "secrets"),
}


def test_everything_is_away_and_named_red_first(tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    env = Environment(
        {
            "ICACHE_REDIS_URL": f"redis://{nowhere}",
            "ICACHE_KAFKA_BOOTSTRAP": nowhere,
            "ICACHE_FLINK_URL": f"http://{nowhere}",
            "ICACHE_S3_ENDPOINT": f"http://{nowhere}",
            "ICACHE_S3_ACCESS_KEY": "key",
            "ICACHE_S3_SECRET_KEY": "secret",
            "ICACHE_S3_SECOND_ENDPOINT": f"http://{nowhere}",
            "ICACHE_S3_SECOND_ACCESS_KEY": "key",
            "ICACHE_S3_SECOND_SECRET_KEY": "secret",
            "ICACHE_SOURCE_URL": f"sow+http://{nowhere}/instruments",
            "ICACHE_SOURCE_TOKEN": "token",
            "ICACHE_ROTATION_SECRETS": "redis:default=redis_password",
            "ICACHE_ROTATION_HOLDER": f"folder:{tmp_path}",
            "ICACHE_LOOKUP_URL": f"http://{nowhere}",
            "ICACHE_AIRFLOW_URL": f"http://{nowhere}",
            "ICACHE_FEED_STATE_FILE": str(tmp_path / "none"),
            "ICACHE_DOCTOR_FOLDERS": f"{tmp_path}:/nowhere",
            "ICACHE_DOCTOR_SUPERVISOR_LOG": str(tmp_path / "none"),
        }
    )
    began_s = time.monotonic()
    found = examine(env)
    assert time.monotonic() - began_s < 60
    assert {finding.part for finding in found} == PARTS
    assert is_red(found)
    assert [finding.severity for finding in found] == sorted(
        (finding.severity for finding in found), key=("red", "warn", "ok").index
    )
    assert all(finding.why for finding in found if finding.severity != "ok")
    assert all(finding.mend for finding in found if finding.severity != "ok")


def test_the_page_has_a_row_for_each_part() -> None:
    page = (PROJECT / "docs" / "doctor.md").read_text(encoding="utf-8")
    for part in PARTS - {"proofs"}:
        assert f"`{part}`" in page, part
