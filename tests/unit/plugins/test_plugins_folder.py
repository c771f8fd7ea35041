from __future__ import annotations

import pytest
from airflow._shared.module_loading import find_path_from_directory

from tests.unit.plugins.airflow_env import PROJECT


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the pattern library that Airflow uses
def test_airflow_does_not_run_the_package_as_loose_files() -> None:
    """Airflow's plugin loader would put every module into sys.modules under its bare name."""
    files = find_path_from_directory(str(PROJECT / "plugins"), ".airflowignore")
    assert [path for path in files if "instrument_cache_airflow" in path] == []
    assert list((PROJECT / "plugins" / "instrument_cache_airflow").glob("**/*.py"))
