"""Settings are checked at the start, in one sentence."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment
from lookup_app.config import lookup_settings
from lookup_app.problems import Problem, ProblemType
from lookup_app.wiring import create_datasets, load_contracts

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
        ("ICACHE_LOOKUP_HOT_PATH", "maybe"),
        ("ICACHE_LOOKUP_CACHE_BYTES", "-1"),
        ("ICACHE_LOOKUP_FRESHNESS_MS", "99"),
        ("ICACHE_LOOKUP_STALE_S_MAX", "86401"),
        ("ICACHE_LOOKUP_HOT_KEYS", "100001"),
        ("ICACHE_LOOKUP_WARM_UP_S_MAX", "x"),
        ("ICACHE_LOOKUP_DATASETS", "instruments,,issuers"),
        ("ICACHE_LOOKUP_DATASETS", "issuers,issuers"),
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
        ("ICACHE_LOOKUP_DATASETS", "issuers,nothing", "nothing.yaml does not exist"),
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


def test_datasets_are_the_one_of_the_stream_unless_others_are_named() -> None:
    def names(**more: str) -> list[str]:
        return [path.stem for path in lookup_settings(Environment({**URL, **more})).contract_paths]

    assert names() == ["instruments"]
    assert names(ICACHE_DATASET="issuers") == ["issuers"]
    assert names(ICACHE_DATASET="issuers", ICACHE_LOOKUP_DATASETS="instruments, issuers") == ["instruments", "issuers"]


def test_datasets_that_share_keys_are_not_served_together() -> None:
    settings = lookup_settings(Environment(URL))
    twice = replace(settings, contract_paths=settings.contract_paths * 2)
    with pytest.raises(SettingsError, match=r"instruments and instruments cannot be served together.*'instr'"):
        load_contracts(twice)
    both = replace(settings, contract_paths=(*settings.contract_paths, PROJECT / "contracts" / "issuers.yaml"))
    assert [service.dataset for service in create_datasets(both)] == ["instruments", "issuers"]


def test_an_unknown_dataset_names_those_that_there_are() -> None:
    with pytest.raises(Problem, match=r"'x'.*instruments") as caught:
        create_datasets(lookup_settings(Environment(URL))).get("x")
    assert caught.value.kind is ProblemType.UNKNOWN_DATASET
    assert caught.value.extra["datasets"] == ["instruments"]
