"""`icache dlq`: what it refuses before it asks any server, and what its page says of it."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from instrument_cache.clock import SystemClock
from instrument_cache.dead_letters.audit import State
from instrument_cache.dead_letters.outcome import ReplayOutcome
from local_stack.cli import main
from local_stack.commands.dlq import dlq
from local_stack.commands.dlq_view import _printable
from local_stack.commands.moment import MOMENT
from local_stack.instance import Instance
from tests.servers import free_port_offset
from tests.unit.docs.pages import DOCS, sections

PAGE = (DOCS / "dead-letters.md").read_text()


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """A stack that was made and does not run."""
    instance = Instance(tmp_path, tmp_path, free_port_offset())
    instance.make_secrets()
    return {"ICACHE_HOME": str(tmp_path), "ICACHE_PORT_OFFSET": str(instance.port_offset)}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["list", "--since", "yesterday"], "is no time; write 2025-11-21T18:00"),
        (["list", "--since", "9999999d"], "is no time"),
        (["list", "--since", "1h", "--until", "2h"], "must be after `since`"),
        (["list", "--position", "17"], "is no position; it is TOPIC-PARTITION-OFFSET"),
        (["list", "--limit", "0"], "0 is not in the range"),
        (["list", "--from", "tape"], "'tape' is not one of"),
        (["show", "here"], "is no position"),
        (["replay", "--limit", "0"], "must be from 1 to 100000"),
        (["replay", "--rate", "0"], "must be above 0"),
        (["replay", "--rate", "nan"], "must be above 0"),
        (["replay", "--patch", "/does/not/exist"], "cannot be read: No such file"),
        (["replay", "--wait", "-1"], "-1.0 is not in the range"),
    ],
)
def test_bad_options_are_refused_with_the_way_out(arguments: list[str], says: str, home: dict[str, str]) -> None:
    done = CliRunner().invoke(main, ["dlq", *arguments], env=home)
    assert done.exit_code != 0
    assert says in " ".join(done.output.split())


def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["dlq", "list"], env={"ICACHE_HOME": str(tmp_path)})
    assert (done.exit_code, "`make up` starts one" in done.output) == (1, True)


def test_an_unknown_dataset_is_named(home: dict[str, str]) -> None:
    done = CliRunner().invoke(main, ["dlq", "list"], env={**home, "ICACHE_DATASET": "nothing"})
    assert (done.exit_code, "nothing.yaml does not exist" in " ".join(done.output.split())) == (1, True)


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("2025-11-21T18:00", 1_763_748_000_000_000),
        ("2025-11-21T18:00:00.000001+01:00", 1_763_744_400_000_001),
        ("2025-11-21", 1_763_683_200_000_000),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text: str, microseconds: int) -> None:
    assert MOMENT.convert(text, None, None) == microseconds


def test_times_can_be_ago() -> None:
    moment = MOMENT.convert("90m", None, None)
    assert 0 <= SystemClock().now_us() - moment - 90 * 60 * 1_000_000 < 60_000_000


def test_bytes_from_outside_do_not_steer_the_terminal() -> None:
    assert _printable("a\x1b[2Jb\r\n\u202ec") == "a\ufffd[2Jb\ufffd\n\ufffdc"


def test_the_page_has_every_command_and_option() -> None:
    headings = sections(DOCS / "dead-letters.md", level=3)
    assert set(headings) == {f"icache dlq {name}" for name in dlq.commands}
    for command in dlq.commands.values():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert any(f"`{option}" in PAGE or f" {option}" in PAGE for option in parameter.opts), parameter.opts


def test_the_page_has_every_outcome_and_state() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert {str(name) for name in (*ReplayOutcome, *State)} <= named
