"""What the stack knows of one part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local_stack.instance import Instance


def _nothing(instance: Instance) -> None:
    """For parts that need no preparation."""


@dataclass(frozen=True)
class Component:
    """One supervised program.

    `prepare` writes its files before the start, `is_ready` looks from outside whether it serves (False or any
    exception: not yet), `after_start` sets it up once it is ready.
    """

    name: str
    command: Callable[[Instance], list[str]]
    is_ready: Callable[[Instance], bool]
    ports: tuple[str, ...] = ()
    environment: Callable[[Instance], dict[str, str]] = lambda instance: {}
    prepare: Callable[[Instance], None] = _nothing
    after_start: Callable[[Instance], None] = _nothing
    ready_timeout_s: float = 90.0
    stop_timeout_s: int = 8
    stop_signal: str = "TERM"
    needs: tuple[str, ...] = ()


def answers(url: str, expect: int = 200) -> bool:
    """True if a GET of `url` answers with the expected status."""
    import httpx

    return httpx.get(url, timeout=2.0).status_code == expect


def link_all(folder: Path, targets: list[Path]) -> None:
    """Make `folder` hold links to exactly `targets`."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for target in targets:
        (folder / target.name).symlink_to(target)
