"""A real S3 for the session, and a dataset of its own for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from flink_jobs.launch import cluster, gate
from instrument_cache import flink_rest
from instrument_cache.settings import Environment, S3Settings, s3_settings
from local_stack.instance import Instance
from tests.contract.flink_jobs.launching import Launching, StoppingFlink
from tests.servers import free_port_offset, stack_component


@pytest.fixture(scope="package")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Settings]:
    with stack_component("s3", tmp_path_factory.mktemp("s3"), free_port_offset()) as instance:
        assert isinstance(instance, Instance)
        yield s3_settings(Environment(instance.settings()))


@pytest.fixture
def launching(s3: S3Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Launching]:
    for module in (gate, cluster, flink_rest):
        monkeypatch.setattr(module, "_POLL_S", 0.002)
    with StoppingFlink(s3) as fake:
        yield Launching(s3, fake, f"d{uuid.uuid4().hex[:8]}")
