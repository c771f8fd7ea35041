"""docs/api.md is what the lookup service says of itself."""

from __future__ import annotations

from local_stack.commands.api import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `./icache api docs`"
