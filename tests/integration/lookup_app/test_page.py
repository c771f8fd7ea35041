"""The page for people, in a real browser: look up, watch, be told what is wrong; on a phone too, and by keyboard."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from docs.screenshots.take import OPTIONS
from instrument_cache.api_keys import KeyStore
from tests.integration.lookup_app.servers import Granian, RedisServer

APPLE = {"cusip": "037833100", "pme": "P-1", "name": "Apple Inc", "symbol": "AAPL", "currency": "USD"}
TIMEOUT_MS = 15_000
Change = Callable[..., int]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=OPTIONS)
        yield browser
        browser.close()


class Tab:
    """A page, and whatever it did that it must not: errors, policy violations, requests to other hosts."""

    def __init__(self, browser: Browser, *allowed: str, **options: Any) -> None:
        self.page: Page = browser.new_context(**options).new_page()
        self.page.set_default_timeout(TIMEOUT_MS)
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda message: self._note(message.text) if message.type == "error" else None)
        self.page.on(
            "request", lambda request: None if request.url.startswith(allowed) else self.wrong.append(request.url)
        )

    def _note(self, text: str) -> None:
        if not text.startswith("Failed to load resource"):  # how a browser tells of a 404
            self.wrong.append(text)

    def look_up(self, text: str, by: str = "cusip") -> None:
        self.page.get_by_label("Look up by").select_option(by)
        self.page.get_by_label("Id", exact=True).fill(text)
        self.page.keyboard.press("Enter")


@pytest.fixture
def tab(browser: Browser, granian: Granian) -> Iterator[Tab]:
    tab = Tab(browser, granian.url, viewport={"width": 1280, "height": 900})
    tab.page.goto(granian.url)
    yield tab
    assert tab.wrong == []
    tab.page.context.close()


def cell(page: Page, field: str) -> Any:
    return page.get_by_role("row", name=field, exact=False).get_by_role("cell")


def test_a_record_is_shown_and_followed(tab: Tab, change: Change) -> None:
    version = change(APPLE)
    tab.look_up("0378 33100")
    page = tab.page
    expect(page.get_by_role("heading", name="037833100 · Apple Inc")).to_be_visible()
    expect(page.locator("#version")).to_have_text(str(version))
    expect(page.locator("#mode")).to_contain_text("every 2 s: this deployment has no change stream")
    expect(page.locator("#cache")).to_have_text("coherent with the store")
    expect(cell(page, "isin")).to_have_text("none")
    change({**APPLE, "name": "Apple Computer"})
    expect(page.get_by_role("heading", name="037833100 · Apple Computer")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Changed: name, last_updated.")
    change(APPLE, op="delete")
    expect(page.get_by_role("alert")).to_contain_text("was deleted at")
    expect(page.locator("#result")).to_be_hidden()


def test_errors_are_sentences(tab: Tab) -> None:
    alert = tab.page.get_by_role("alert")
    tab.look_up("03783310")
    expect(alert).to_contain_text("it has 8 characters; a CUSIP has 9")
    tab.look_up("037833100")
    expect(alert).to_contain_text("No instrument is known as '037833100'")
    tab.look_up("P-9", by="pme")
    expect(alert).to_contain_text("No instrument is known as 'P-9'")
    tab.look_up("<img src=x onerror=alert(1)>", by="pme")
    expect(alert).to_contain_text("must match")


def test_an_address_leads_to_its_record(tab: Tab, granian: Granian, change: Change) -> None:
    change(APPLE)
    tab.look_up("P-1", by="pme")
    expect(tab.page.get_by_role("heading", name="037833100")).to_be_visible()
    assert tab.page.url == f"{granian.url}/?dataset=instruments&by=pme&id=P-1"
    tab.page.reload()
    expect(tab.page.get_by_role("heading", name="037833100")).to_be_visible()


def test_all_of_it_works_by_keyboard(tab: Tab, change: Change) -> None:
    change(APPLE)
    expect(tab.page.locator("#kind option")).to_have_count(2)
    page, seen = tab.page, []
    for _ in range(7):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert seen == ["API", "Readiness", "Metrics", "dataset", "kind", "id", "Look up"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.type("037833100")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("heading", name="037833100")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_readable_for_everybody(
    browser: Browser, granian: Granian, change: Change, width: int, scheme: Any
) -> None:
    change({**APPLE, "name": "A name without any space in it: " + "x" * 120})
    tab = Tab(browser, granian.url, viewport={"width": width, "height": 740}, color_scheme=scheme)
    tab.page.goto(f"{granian.url}/?dataset=instruments&by=cusip&id=037833100")
    tab.page.get_by_text("Access").click()
    expect(tab.page.locator("#fields tr")).to_have_count(8)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(tab.page)
    assert found.violations_count == 0, found.generate_report()
    tab.look_up("bad")
    expect(tab.page.get_by_role("alert")).to_be_visible()
    found = Axe().run(tab.page)
    assert found.violations_count == 0, found.generate_report()
    assert tab.wrong == []


class ChangeStream(socketserver.ThreadingTCPServer):
    """As much of the change stream as a browser sees: an event whenever `told` is set."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Listener)
        self.asked: list[bytes] = []
        self.told = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Listener(socketserver.BaseRequestHandler):
    server: ChangeStream

    def handle(self) -> None:
        self.server.asked.append(self.request.recv(65536).split(b"\r\n")[0])
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nAccess-Control-Allow-Origin: *\r\n\r\n: alive\n\n"
        )
        self.request.sendall(head)
        if self.server.told.wait(30):
            self.request.sendall(b'event: put\ndata: {"id":"037833100"}\n\n')
            self.server.told.clear()
            self.server.told.wait(30)


def test_with_a_change_stream_it_asks_only_when_told(
    browser: Browser, redis_server: RedisServer, tmp_path: Path, change: Change
) -> None:
    stream = ChangeStream()
    environment = {"ICACHE_REDIS_URL": redis_server.url, "ICACHE_LOOKUP_CHANGES_URL": stream.url}
    server = Granian(tmp_path, {**environment, "ICACHE_LOOKUP_DRAIN_S": "0"})
    server.start()
    change(APPLE)
    tab = Tab(browser, server.url, stream.url)
    tab.page.goto(server.url)
    tab.look_up("P-1", by="pme")
    expect(tab.page.locator("#mode")).to_have_text("live, through the change stream")
    assert stream.asked == [b"GET /v1/instruments/changes?ids=037833100 HTTP/1.1"]
    change({**APPLE, "name": "Apple Computer"})
    stream.told.set()
    expect(tab.page.get_by_role("heading", name="037833100 · Apple Computer")).to_be_visible()
    assert tab.wrong == []
    tab.page.context.close()
    stream.told.set()
    stream.shutdown()
    server.stop()


def test_where_callers_must_say_who_they_are_a_key_is_pasted_and_kept_in_memory_only(
    browser: Browser, redis_server: RedisServer, tmp_path: Path, change: Change
) -> None:
    change(APPLE)
    key = KeyStore.connect(redis_server.url).create("desk-1", ["instruments"])
    environment = {"ICACHE_REDIS_URL": redis_server.url, "ICACHE_LOOKUP_AUTH": "api-key"}
    server = Granian(tmp_path, {**environment, "ICACHE_LOOKUP_DRAIN_S": "0"})
    server.start()
    tab = Tab(browser, server.url)
    page = tab.page
    page.goto(server.url)
    expect(page.get_by_role("alert")).to_contain_text("open “Access” and paste a token or an API key")
    page.get_by_text("Access", exact=True).click()
    page.get_by_label("Token or API key").fill(key)
    page.keyboard.press("Tab")
    expect(page.locator("#kind option")).to_have_count(2)
    expect(page.get_by_role("alert")).to_be_hidden()
    tab.look_up("037833100")
    expect(page.get_by_role("heading", name="037833100 · Apple Inc")).to_be_visible()
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert key not in kept
    assert tab.wrong == []
    page.context.close()
    server.stop()


def test_the_description_can_be_tried_without_another_host(tab: Tab, granian: Granian, change: Change) -> None:
    change(APPLE)
    tab.page.goto(f"{granian.url}/docs")
    tab.page.get_by_role("button", name="get /v1/instruments/{cusip}", exact=True).click()
    tab.page.get_by_role("button", name="Try it out").click()
    tab.page.get_by_placeholder("cusip").fill("037833100")
    tab.page.get_by_role("button", name="Execute").click()
    expect(tab.page.locator(".live-responses-table").get_by_text('"Apple Inc"').first).to_be_visible()
