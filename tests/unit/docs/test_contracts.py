"""docs/contracts.md is what the contracts say."""

from __future__ import annotations

from local_stack.commands.contract import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run `./icache contract docs`"
