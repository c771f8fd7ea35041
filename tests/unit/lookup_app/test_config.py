"""Settings are checked at the start, in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment
from lookup_app.config import lookup_settings

PROJECT = Path(__file__).parents[3]
URL = {"ICACHE_REDIS_URL": "redis://:secret@127.0.0.1:1/0"}


def test_defaults() -> None:
    settings = lookup_settings(Environment(URL))
    assert (settings.redis_timeout_s, settings.body_bytes_max, settings.batch_ids_max) == (0.150, 1024 * 1024, 1000)


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(lookup_settings(Environment(URL)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ICACHE_LOOKUP_REDIS_TIMEOUT_MS", "0"),
        ("ICACHE_LOOKUP_REDIS_TIMEOUT_MS", "soon"),
        ("ICACHE_LOOKUP_BODY_BYTES_MAX", "1"),
        ("ICACHE_LOOKUP_BATCH_IDS_MAX", "-1"),
        ("ICACHE_LOOKUP_BATCH_IDS_MAX", "10001"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is '{value}'; it must be"):
        lookup_settings(Environment({**URL, name: value}))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ICACHE_REDIS_URL", "", "ICACHE_REDIS_URL is missing"),
        ("ICACHE_REDIS_URL", "http://:secret@x", "cannot be used"),
        ("ICACHE_DATASET", "nothing", "nothing.yaml does not exist"),
        ("ICACHE_LOOKUP_BATCH_IDS_MAX", "many", "must be a whole number"),
    ],
)
def test_the_server_does_not_start_and_says_why_in_one_line(name: str, value: str, message: str) -> None:
    command = [sys.executable, "-c", "import lookup_app.wsgi"]
    environment = {**URL, name: value, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("lookup: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


def test_loading_the_application_connects_to_nothing_and_leaves_heavy_parts_out() -> None:
    code = "import sys, lookup_app.wsgi; print({'boto3', 'pandas', 'airflow', 'pyflink'} & set(sys.modules))"
    environment = {**URL, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr


def test_the_service_needs_nothing_that_only_the_stream_has() -> None:
    """Its image is made from lookup_app/requirements.txt, which has none of these."""
    program = (
        "import sys; import lookup_app.app; print({'numpy', 'pandas', 'fastavro', 'confluent_kafka'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
