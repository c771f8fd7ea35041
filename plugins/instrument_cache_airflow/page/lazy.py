"""Every process of Airflow loads the plugins; only the API server, at the first request, needs the application."""

from __future__ import annotations

import threading
from typing import Any, Final

PREFIX: Final = "/instrument-cache"


class LazyPage:
    """An ASGI application that is made when it is first called."""

    def __init__(self) -> None:
        self._app: Any = None
        self._lock = threading.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._made()(scope, receive, send)

    def _made(self) -> Any:
        with self._lock:
            if self._app is None:
                from instrument_cache_airflow.page.app import make_app

                self._app = make_app()
        return self._app
