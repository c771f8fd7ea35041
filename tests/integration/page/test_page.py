"""The operator's page in Airflow's API server, as people see it in a browser and programs over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.integration.page.site import TIMEOUT_MS, Site, Tab
from tests.servers import wait_until

pytestmark = pytest.mark.timeout(600)
expect.set_options(timeout=TIMEOUT_MS)
ROUTES = ("", "overview.json", "files/page.css", "docs/README.md", "reports/reconcile/2025-11-21/run")


@pytest.fixture(scope="module")
def well(site: Site) -> Site:
    """Comes before `ill`: its tests stand above."""
    site.all_well()
    wait_until(site.check_all_well, 60, what="a page on which everything is well")
    return site


@pytest.fixture(scope="module")
def ill(well: Site) -> Site:
    well.much_is_wrong()
    wait_until(lambda: well.seen()["job"] == "red", 60, what="a page on which something is red")
    return well


@pytest.fixture(scope="module")
def attacked(ill: Site) -> Site:
    """Comes last: everything red, and full of what others wrote."""
    ill.attacked()
    wait_until(lambda: "<script>" in ill.get("overview.json", "ann").text, 60, what="a page with what others wrote")
    return ill


@pytest.fixture
def tab(browser: Browser, site: Site) -> Iterator[Tab]:
    tab = Tab(browser, site, viewport={"width": 1280, "height": 1000})
    yield tab
    tab.close()


def picture(page: Page, folder: Path | None, name: str, *, full: bool = True) -> None:
    if folder:
        page.screenshot(path=folder / f"{name}.png", full_page=full)


@pytest.mark.parametrize("path", ROUTES)
def test_nobody_sees_anything_without_a_login(site: Site, path: str) -> None:
    assert site.get(path).status_code == 401
    assert site.get(path, Authorization="Bearer abc").status_code in (401, 403)


def test_who_is_not_logged_in_is_shown_the_way(site: Site) -> None:
    answer = site.get("")
    assert "Not authenticated" in answer.text
    back = quote(f"{site.url}/instrument-cache/", safe="")
    assert f'href="/api/v2/auth/login?next={back}"' in answer.text


def test_everything_is_well(well: Site, tab: Tab, pictures: Path | None) -> None:
    page = tab.open()
    expect(page.get_by_role("status")).to_have_text("Everything is well.")
    expect(page.locator("article[data-part=reconcile]")).to_contain_text("100 %")
    expect(page.locator("article[data-part='backup:second']")).to_contain_text("old")
    drill = page.locator("article[data-part=dr_drill]")
    name = "RTO: until the region served: the last of 3 runs 15.8 s, lowest 15.8, highest 47.4, target 30."
    expect(drill.get_by_role("img", name=name)).to_be_visible()
    picture(page, pictures, "operator-page", full=False)


def test_the_menu_of_airflow_leads_to_it(well: Site, tab: Tab) -> None:
    tab.page.goto(well.url)
    tab.page.get_by_role("button", name="Browse").click()
    with tab.page.expect_popup() as opened:
        tab.page.get_by_role("menuitem", name="Instrument Cache").click()
    expect(opened.value.get_by_role("heading", name="Instrument Cache: instruments")).to_be_visible()
    tab.wrong.clear()  # what Airflow's own page logs is not ours


def test_an_action_opens_the_form_of_its_operation(well: Site, tab: Tab, pictures: Path | None) -> None:
    page = tab.open()
    action = page.locator("article[data-part='backup:first']").get_by_role("link", name="Start cache_backup")
    with page.expect_popup() as opened:
        action.click()
    expect(opened.value.get_by_text("Accept a smaller backup")).to_be_visible()
    picture(opened.value, pictures, "operator-page-form")


def test_a_viewer_looks_and_starts_nothing(well: Site, browser: Browser) -> None:
    tab = Tab(browser, well, "vic")
    page = tab.open()
    expect(page.get_by_role("status")).to_have_text("Everything is well.")
    assert page.locator("a.action").count() == 0
    assert Tab(browser, well, "ann").open().locator("a.action").count() > 5
    tab.close()


def test_all_of_it_works_by_keyboard(well: Site, tab: Tab) -> None:
    page = tab.open()
    seen: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        if "job-action" in seen:
            break
    assert seen[:3] == ["Overview", "Documentation", "Airflow"]
    assert seen[-1] == "job-action"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="stream_instruments", exact=True)).to_be_visible()


def test_a_runbook_leads_on_to_the_other_pages(well: Site, tab: Tab) -> None:
    page = tab.open()
    page.locator("article[data-part='backup:first']").get_by_role("link", name="Runbook").click()
    expect(page.get_by_role("heading", name="cache_backup", exact=True)).to_be_visible()
    page.goto(f"{well.url}/instrument-cache/docs/README.md")
    page.get_by_role("link", name="backup.md", exact=True).click()
    expect(page.get_by_role("heading", level=1).last).to_be_visible()
    assert page.url.endswith("/instrument-cache/docs/backup.md")


def test_what_is_asked_for_by_a_hostile_name_is_not_there(well: Site) -> None:
    for path in ("docs/%2e%2e/%2e%2e/pyproject.toml", "docs/..%2fREADME.md", "files/..%2fapp.py"):
        assert well.get(path, "ann").status_code == 404, path
    answer = well.get("reports/reconcile/2025-11-21/%3Cscript%3Ealert(1)%3C%2fscript%3E", "ann")
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text
    assert well.get("reports/..%2f..%2fbackup/2025-11-21/x", "ann").status_code == 404


def test_a_task_leads_to_the_report_of_its_run_and_to_its_data_docs(well: Site) -> None:
    run_id = well.publish_quality("<b>checked</b>")
    answer = well.get(f"runs/data_quality/{quote(run_id, safe='')}", "ann")
    assert answer.status_code == 307
    page = well.http.get(answer.headers["location"], headers={"Authorization": f"Bearer {well.token('vic')}"})
    assert "Report of data_quality" in page.text
    assert f'href="{answer.headers["location"]}/data-docs"' in page.text
    docs = well.get(answer.headers["location"].removeprefix("/instrument-cache/") + "/data-docs", "vic")
    assert (docs.text, docs.headers["content-security-policy"].split("; ")[-1]) == ("<b>checked</b>", "sandbox")
    assert well.get("runs/data_quality/none", "ann").status_code == 404


def test_red_things_come_first_and_say_what_to_do(ill: Site, tab: Tab, pictures: Path | None) -> None:
    page = tab.open()
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^\d things are red"))
    for section in ("findings", "tiles"):
        articles = page.locator(f"section[aria-labelledby={section}] article")
        severities = articles.evaluate_all("all => all.map(one => one.className.split(' ')[1])")
        assert severities == sorted(severities, key=["red", "warn", "ok"].index)
    job = page.locator("article[data-part=job]")
    expect(job).to_contain_text("Start stream_instruments, unless the stream was stopped on purpose.")
    wait_until(lambda: ill.finding("flink-job").get("severity") == "red", 60, what="the doctor's word")
    page.reload()
    expect(page.get_by_role("heading", name="What the doctor found")).to_be_visible()
    picture(page, pictures, "operator-page-red")
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark")
    picture(page, pictures, "operator-page-phone", full=False)


def test_what_the_doctor_finds_is_red_with_its_sentence_what_mends_it_and_its_runbook(ill: Site, tab: Tab) -> None:
    wait_until(lambda: ill.finding("flink-job").get("severity") == "red", 60, what="the doctor's word")
    told = ill.finding("flink-job")
    page = tab.open()
    found = page.locator("section[aria-labelledby=findings] article.red[data-part=flink-job]")
    expect(found.locator(".badge")).to_have_text("Red")
    for text in (told["sentence"], told["why"], told["mend"]):
        expect(found).to_contain_text(text)
    found.get_by_role("link", name="Runbook").click()
    assert page.url.endswith(f"/instrument-cache/docs/runbook/{told['runbook']}.md")
    expect(page.get_by_role("heading", name=told["runbook"], exact=True)).to_be_visible()


def test_what_is_over_and_what_is_well_are_told_too(ill: Site, tab: Tab) -> None:
    ill.flink.status = 503
    wait_until(lambda: ill.finding("flink-jobmanager").get("severity") == "red", 60, what="a Flink that is away")
    ill.flink.status = 200
    wait_until(lambda: not ill.finding("flink-jobmanager"), 60, what="a Flink that is back")
    page = tab.open()
    expect(page.locator("#past")).to_contain_text("flink-jobmanager, at ")
    page.locator("#well summary").click()
    expect(page.locator("#well")).to_contain_text("Redis answers in")


def test_what_others_wrote_is_text_and_nothing_else(attacked: Site, tab: Tab) -> None:
    page = tab.open()
    expect(page.locator("article[data-part=job]")).to_contain_text("<script>document.title='taken'</script>")
    page.locator("article[data-part=reconcile]").get_by_role("link", name="Report").click()
    expect(page.get_by_role("heading", name="Report of reconcile")).to_be_visible()
    expect(page.locator("pre")).to_contain_text("<img src=x onerror=alert(1)>")
    assert "taken" not in page.title()


def test_the_page_follows_by_itself_and_keeps_what_was_opened(attacked: Site, tab: Tab) -> None:
    tab.page.clock.install()
    page = tab.open()
    page.locator("article[data-part=reconcile] summary").last.click()
    attacked.flink.status = 503
    wait_until(lambda: attacked.seen().get("flink") == "red", 60, what="a page on which Flink is away")
    page.clock.fast_forward("00:16")
    expect(page.locator("article[data-part=flink]")).to_contain_text("does not answer")
    assert page.locator("#reconcile-facts").get_attribute("open") == ""
    attacked.flink.status = 200
    wait_until(lambda: "job" in attacked.seen(), 60, what="a page on which Flink is back")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_readable_for_everybody(
    browser: Browser, attacked: Site, width: int, scheme: Any, pictures: Path | None
) -> None:
    tab = Tab(browser, attacked, viewport={"width": width, "height": 740}, color_scheme=scheme)
    page = tab.open()
    expect(page.locator("article[data-part=job]")).to_be_visible()
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = false)")
    picture(page, pictures, f"operator-page-{width}-{scheme}")
    for path in ("docs/runbook/cache_backup.md", page.locator("#reconcile-report").get_attribute("href") or ""):
        page.goto(attacked.url + ("/instrument-cache/" + path if not path.startswith("/") else path))
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    tab.close()
