"""docs/local-stack.md has every command and every port."""

from __future__ import annotations

import re

import click
import pytest

from local_stack.cli import main
from local_stack.instance import PORTS, SECRETS
from tests.unit.docs.pages import DOCS, sections

PAGE = DOCS / "local-stack.md"
TEXT = PAGE.read_text()
COMMANDS = sections(PAGE, level=3)


def test_every_command_has_a_heading_and_every_heading_is_a_command() -> None:
    assert set(COMMANDS) == {f"icache {name}" for name in main.commands}


@pytest.mark.parametrize("name", sorted(main.commands))
def test_names_every_option(name: str) -> None:
    for parameter in main.commands[name].params:
        if isinstance(parameter, click.Option):
            assert any(option in COMMANDS[f"icache {name}"] for option in parameter.opts), parameter.opts


def test_the_table_of_ports_is_the_stacks() -> None:
    rows = re.findall(r"^\| ([a-z0-9-]+) \| (\d+) \|", TEXT, re.MULTILINE)
    assert {name: int(port) for name, port in rows} == PORTS


def test_names_only_secrets_that_there_are() -> None:
    assert set(re.findall(r"`secrets/(\w+)`", TEXT)) <= set(SECRETS)


def test_a_second_instance_at_a_multiple_of_100_keeps_clear_of_the_first() -> None:
    ports = set(PORTS.values())
    for offset in range(100, 5000, 100):
        assert not ports & {port + offset for port in ports}, offset
