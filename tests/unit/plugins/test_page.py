"""The routes of the operator's page, without a server: what is shown, and that it is text."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any

import httpx
import pytest

from instrument_cache.doctor import Finding
from instrument_cache.objects_memory import MemoryObjects
from instrument_cache.overview.model import Fact, Overview, Plot, Point, Tile
from instrument_cache.overview.service import Overviews
from instrument_cache.reports import Report, report_key
from instrument_cache.settings import Environment
from instrument_cache_airflow.page import access
from instrument_cache_airflow.page.app import Site, make_app

HOSTILE = "<script>alert(1)</script>"
TILE = Tile(
    part="dr_drill",
    title="Drill",
    severity="red",
    value=HOSTILE,
    sentence="It missed.",
    mend="Start it again.",
    runbook="dr_drill",
    dag="dr_drill",
    report="reports/dr_drill/2025-11-21/run-1",
    facts=(Fact("Proved", HOSTILE),),
    plots=(Plot(HOSTILE, "s", (Point("2025-11-14T06:00:00", 20), Point("2025-11-21T06:00:00", 130, False)), 120.0),),
)
FINDING = Finding(
    "redis", "red", f"Redis said {HOSTILE}", "a cause", "icache restart redis", "docs/runbook/freshness.md"
)
REPORT = Report(
    "instruments", "data_quality", "run-1", "2025-11-21T06:00:00+00:00", "2025-11-21T06:01:00+00:00", False, HOSTILE,
    {"kept_ratio": 0.5}, {"data_docs": "quality/x/index.html", "samples": [HOSTILE]},
)  # fmt: skip


class Planted(Overviews):
    """Of a deployment of which everything is known."""

    def look(self) -> Overview:
        return Overview(dataset="instruments", at="2025-11-21T06:00:00+00:00", findings=(FINDING,), tiles=(TILE,))

    @cached_property
    def objects(self) -> Any:
        return MemoryObjects()


@pytest.fixture
def overviews() -> Planted:
    return Planted(Environment({"ICACHE_REDIS_URL": "redis://127.0.0.1:1/0"}))


@pytest.fixture
def get(overviews: Planted) -> Any:
    app = make_app(Site(lambda: overviews))
    app.dependency_overrides[access.may_look] = lambda: None
    app.dependency_overrides[access.startable] = lambda: frozenset({"dr_drill"})

    async def ask(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app, root_path="/instrument-cache")
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
            return await client.get(path)

    return lambda path: asyncio.run(ask(path))


def test_red_things_with_what_to_do_and_nothing_that_runs(get: Any) -> None:
    page = get("/instrument-cache/")
    assert page.status_code == 200
    assert "2 things are red." in page.text
    assert page.text.index("What the doctor found") < page.text.index("At a glance")
    assert "Start it again." in page.text
    assert 'data-dag="dr_drill" href="/dags/dr_drill"' in page.text
    assert 'href="/instrument-cache/docs/runbook/freshness.md"' in page.text
    assert 'href="/instrument-cache/reports/dr_drill/2025-11-21/run-1"' in page.text
    assert "<script>alert" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_a_plot_marks_what_missed_and_says_it_in_words(get: Any) -> None:
    page = get("/instrument-cache/").text
    assert page.count('<rect class="missed"') == 1
    assert '<line class="limit"' in page
    assert "the last of 2 runs 130 s, lowest 20, highest 130, target 120; 1 not good." in page


def test_no_page_of_the_documentation_brings_styles_of_its_own(get: Any) -> None:
    page = get("/instrument-cache/docs/backup.md")
    assert 'style="' not in page.text
    assert '<th class="number">' in page.text
    assert '<pre tabindex="0">' in page.text


def test_a_report_is_text_and_leads_to_its_data_docs(get: Any, overviews: Planted) -> None:
    import msgspec

    overviews.objects.put_once(report_key(REPORT), msgspec.json.encode(REPORT))
    overviews.objects.put_once("quality/x/index.html", b"<b>all rules</b>")
    moved = get("/instrument-cache/runs/data_quality/run-1")
    assert (moved.status_code, moved.headers["location"]) == (
        307,
        "/instrument-cache/reports/data_quality/2025-11-21/run-1",
    )
    page = get(moved.headers["location"])
    assert "<script>alert" not in page.text
    assert 'href="/instrument-cache/reports/data_quality/2025-11-21/run-1/data-docs"' in page.text
    docs = get(moved.headers["location"] + "/data-docs")
    assert docs.text == "<b>all rules</b>"
    assert docs.headers["content-security-policy"].endswith("sandbox")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("docs/runbook/cache_backup.md", 200),
        ("docs/..%2f..%2fpyproject.toml", 404),
        ("files/..%2fapp.py", 404),
        ("files/page.css", 200),
        ("reports/data_quality/2025-11-21/%3Cscript%3Ealert(1)", 404),
        ("reports/..%2f..%2faudit/2025-11-21/x", 404),
        ("runs/data_quality/..%2fx", 404),
        ("nothing", 404),
    ],
)
def test_only_what_is_there_is_answered(get: Any, path: str, status: int) -> None:
    answer = get(f"/instrument-cache/{path}")
    assert answer.status_code == status
    assert "<script>alert" not in answer.text


def test_s3_that_is_away_is_a_sentence(get: Any, overviews: Planted) -> None:
    overviews.objects.away = True
    answer = get("/instrument-cache/reports/data_quality/2025-11-21/run-1")
    assert answer.status_code == 503
    assert 'role="alert"' in answer.text
