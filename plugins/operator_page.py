"""What Airflow loads: the operator's page in the menu, and the links of tasks. Cheap, for every process loads it."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from instrument_cache_airflow.page.lazy import PREFIX, LazyPage

_ADDRESS = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/") + PREFIX


class OperatorPage(AirflowPlugin):
    name = "instrument_cache"
    fastapi_apps: ClassVar[list[Any]] = [{"app": LazyPage(), "url_prefix": PREFIX, "name": "Instrument Cache"}]
    # Without a route of Airflow's own it opens beside it and not in a frame, which could not open an operation's form.
    external_views: ClassVar[list[Any]] = [
        {
            "name": "Instrument Cache",
            "href": f"{_ADDRESS}/",
            "icon": f"{_ADDRESS}/files/icon.svg",
            "destination": "nav",
            "nav_top_level": True,
        }
    ]
