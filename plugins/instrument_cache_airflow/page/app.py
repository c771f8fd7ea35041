"""The routes of the page. Each one asks Airflow who looks, before anything else."""

from __future__ import annotations

import mimetypes
from functools import cached_property
from importlib import resources
from typing import Any, Final
from urllib.parse import quote

import msgspec
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from instrument_cache.errors import InstrumentCacheError
from instrument_cache.overview.service import Overviews, as_json
from instrument_cache.reports import read
from instrument_cache_airflow.page.access import Startable, may_look
from instrument_cache_airflow.page.documents import Documents
from instrument_cache_airflow.page.lazy import PREFIX
from instrument_cache_airflow.page.rendering import HEADERS, html, state_sentence

FILES: Final = ("page.css", "page.js", "icon.svg")


class Site:
    """What the routes share."""

    documents = Documents()

    @cached_property
    def overviews(self) -> Overviews:
        """Raises SettingsError, ContractError: at each request until they are right."""
        return Overviews()

    @cached_property
    def files(self) -> dict[str, bytes]:
        folder = resources.files("instrument_cache_airflow.page") / "static"
        return {name: folder.joinpath(name).read_bytes() for name in FILES}


def make_app() -> FastAPI:
    """The application that Airflow's API server mounts."""
    app, site = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(may_look)]), Site()
    _add_overview(app, site)
    _add_report(app, site)
    _add_files(app, site)
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(InstrumentCacheError, _failed)
    return app


def _add_overview(app: FastAPI, site: Site) -> None:
    @app.get("/")
    def overview(request: Request, startable: Startable) -> Response:
        found = site.overviews.look()
        return html(request, "overview.html", overview=found, state=state_sentence(found), startable=startable)

    @app.get("/overview.json")
    def overview_json() -> Response:
        return Response(as_json(site.overviews.look()), 200, HEADERS, "application/json")


def _add_report(app: FastAPI, site: Site) -> None:
    @app.get("/reports/{operation}/{date}/{run_id}")
    def report(request: Request, operation: str, date: str, run_id: str) -> Response:
        overviews = site.overviews
        found = read(overviews.objects, overviews.dataset, operation, date, run_id)
        if found is None:
            raise HTTPException(404, f"There is no report of {operation} of {date} by the run {run_id}.")
        details = msgspec.json.format(msgspec.json.encode(found.details), indent=2).decode()
        return html(request, "report.html", report=found, details=details)


def _add_files(app: FastAPI, site: Site) -> None:
    @app.get("/files/{name}")
    def file(name: str) -> Response:
        if name not in site.files:
            raise HTTPException(404, f"The page has no file {name}.")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(site.files[name], 200, HEADERS, kind)

    @app.get("/docs/{name:path}")
    def document(request: Request, name: str) -> Response:
        if (image := site.documents.image(name)) is not None:
            return Response(image, 200, HEADERS, "image/png")
        body = site.documents.page(name)
        if body is None:
            raise HTTPException(404, f"The documentation here has no page {name}.")
        return html(request, "document.html", name=name, body=body)


async def _refused(request: Request, error: Any) -> Response:
    """With the way in for who is not logged in."""
    login = ""
    if error.status_code == 401:
        airflow = request.scope["root_path"].removesuffix(PREFIX)
        login = f"{airflow}/api/v2/auth/login?next={quote(str(request.url), safe='')}"
    return html(request, "notice.html", error.status_code, text=str(error.detail), login=login)


async def _failed(request: Request, error: Any) -> Response:
    return html(request, "notice.html", 503, text=str(error), login="")
