"""What tests of several folders share."""

from __future__ import annotations

import pytest

from tests.integration.airflow_home import AirflowHome


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    """An Airflow home whose database is there; use a `copy`, which takes no time."""
    home = AirflowHome(tmp_path_factory.mktemp("migrated"))
    home.migrate()
    return home
