"""The pages lead somewhere: links, files and tests that they name exist, and the index lists every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local_stack.instance import PROJECT
from tests.unit.docs.pages import DOCS

PAGES = sorted(DOCS.rglob("*.md"))
ADRS = sorted((DOCS / "adr").glob("*.md"))
FOLDERS = sorted(path.name for path in PROJECT.iterdir() if path.is_dir() and not path.name.startswith("."))
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s:]*)(?:#([^)\s]*))?\)", page.read_text()):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        if anchor:
            assert anchor in _anchors(path), f"{target}#{anchor}"


@each_page
def test_files_that_it_names_exist(page: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*[\w/])`", page.read_text())
    for name in named:
        assert (PROJECT / name).exists(), name


def test_the_index_lists_every_page() -> None:
    linked = set(re.findall(r"\]\(([^)#]+\.md)\)", (DOCS / "README.md").read_text()))
    assert linked == {str(page.relative_to(DOCS)) for page in PAGES} - {"README.md"}


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [path.name[:4] for path in ADRS] == [f"{number:04d}" for number in range(1, len(ADRS) + 1)]


@pytest.mark.parametrize("page", ADRS, ids=lambda page: page.stem)
def test_a_decision_says_context_decision_and_consequences(page: Path) -> None:
    text = page.read_text()
    assert re.match(rf"# {page.name[:4]}: \S", text)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_the_way_of_one_change_has_ten_steps_each_with_its_file() -> None:
    way = (DOCS / "architecture.md").read_text().partition("## The way of one change\n")[2].partition("\n## ")[0]
    steps = re.split(r"^\d+\. ", way, flags=re.MULTILINE)[1:]
    assert len(steps) == 10
    for step in steps:
        assert re.search(r"`[\w/]+\.(py|lua)`", step), step


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
