"""A real Flink cluster and a real Airflow home for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.airflow_home import AirflowHome
from tests.integration.plugins.flink_cluster import FlinkCluster


@pytest.fixture(scope="package")
def flink_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    with FlinkCluster(tmp_path_factory.mktemp("flink")) as cluster:
        yield cluster


@pytest.fixture
def flink(flink_for_all: FlinkCluster) -> FlinkCluster:
    """The session's cluster, with nothing running."""
    flink_for_all.cancel_all()
    return flink_for_all


@pytest.fixture
def airflow_home(migrated: AirflowHome, tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    """A home with an empty database: no run, no Variable."""
    return migrated.copy(tmp_path_factory.mktemp("airflow"))
