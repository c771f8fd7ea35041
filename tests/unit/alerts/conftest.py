"""Airflow reads its configuration when it is imported first, so its home is set before any test module is."""

from tests.unit.plugins import airflow_env  # noqa: F401
