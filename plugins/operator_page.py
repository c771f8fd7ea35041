"""What Airflow loads: the operator's page in the menu, and the links of tasks. Cheap, for every process loads it."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from instrument_cache_airflow.page.lazy import PREFIX, LazyPage
from instrument_cache_airflow.page.links import FlinkLink, PageLink, ReportLink, page_address


class OperatorPage(AirflowPlugin):
    name = "instrument_cache"
    fastapi_apps: ClassVar[list[Any]] = [{"app": LazyPage(), "url_prefix": PREFIX, "name": "Instrument Cache"}]
    # Without a route of Airflow's own it opens beside it and not in a frame, which could not open an operation's form.
    external_views: ClassVar[list[Any]] = [
        {
            "name": "Instrument Cache",
            "href": f"{page_address()}/",
            "icon": f"{page_address()}/files/icon.svg",
            "destination": "nav",
            # At the top level Airflow makes of an address a button that leads nowhere; in a menu it is a link.
            "category": "browse",
        }
    ]
    global_operator_extra_links: ClassVar[list[Any]] = [FlinkLink(), ReportLink(), PageLink()]
