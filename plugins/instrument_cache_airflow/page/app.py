"""The routes of the page. Each one asks Airflow who looks, before anything else."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from functools import cached_property
from importlib import resources
from typing import Any, Final
from urllib.parse import quote

import msgspec
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from instrument_cache.errors import InstrumentCacheError
from instrument_cache.overview.service import Overviews, as_json
from instrument_cache.overview.trends import date_of_run
from instrument_cache.reports import Report, name_of_run, read
from instrument_cache_airflow.page.access import Startable, may_look
from instrument_cache_airflow.page.documents import Documents
from instrument_cache_airflow.page.lazy import PREFIX
from instrument_cache_airflow.page.rendering import HEADERS, html, state_sentence

FILES: Final = ("page.css", "page.js", "icon.svg")
# One page with everything in it, made from data of others: it runs nothing and asks nobody.
_DOCS_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
_DOCS_HEADERS: Final = {**HEADERS, "Content-Security-Policy": _DOCS_POLICY}


class Site:
    """What the routes share. `make_overviews` may raise SettingsError: then it is asked again at the next request."""

    def __init__(self, make_overviews: Callable[[], Overviews] = Overviews) -> None:
        self.documents = Documents()
        self._make_overviews = make_overviews

    @cached_property
    def overviews(self) -> Overviews:
        return self._make_overviews()

    def report(self, operation: str, date: str, run_id: str) -> Report:
        """Raises HTTPException if there is none, ObjectStoreUnavailable."""
        found = read(self.overviews.objects, self.overviews.dataset, operation, date, run_id)
        if found is None:
            raise HTTPException(404, f"There is no report of {operation} of {date} by the run {run_id}.")
        return found

    @cached_property
    def files(self) -> dict[str, bytes]:
        folder = resources.files("instrument_cache_airflow.page") / "static"
        return {name: folder.joinpath(name).read_bytes() for name in FILES}


def make_app(site: Site | None = None) -> FastAPI:
    """The application that Airflow's API server mounts."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(may_look)])
    site = site or Site()
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
        found = site.report(operation, date, run_id)
        details = msgspec.json.format(msgspec.json.encode(found.details), indent=2).decode()
        place = f"{operation}/{date}/{run_id}"
        return html(request, "report.html", report=found, details=details, place=place, docs=_data_docs(found))

    @app.get("/reports/{operation}/{date}/{run_id}/data-docs")
    def data_docs(operation: str, date: str, run_id: str) -> Response:
        key = _data_docs(site.report(operation, date, run_id))
        if not key:
            raise HTTPException(404, f"The run {run_id} of {operation} made no Data Docs.")
        return Response(site.overviews.objects.get(key), 200, _DOCS_HEADERS, "text/html; charset=utf-8")

    @app.get("/runs/{operation}/{run_id}")
    def report_of_run(request: Request, operation: str, run_id: str) -> Response:
        overviews = site.overviews
        date = date_of_run(overviews.objects, overviews.dataset, operation, run_id)
        if date is None:
            raise HTTPException(404, f"The run {run_id} of {operation} has published no report (yet).")
        root = request.scope["root_path"]
        return RedirectResponse(f"{root}/reports/{quote(operation)}/{date}/{quote(name_of_run(run_id))}", 307)


def _data_docs(report: Report) -> str:
    """The object that a run of data_quality wrote for people, by its own report; "" if it wrote none."""
    key = report.details.get("data_docs")
    return key if isinstance(key, str) else ""


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
