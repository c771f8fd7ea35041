"""A small disk of its own for a stack's data, so that a full disk harms nobody else. Needs the right to mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SIZE_BYTES: Final = 1_000_000_000
_CHUNK: Final = b"\xff" * 1_000_000


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount an ext4 file system of SIZE_BYTES at `folder`, on a file beside it. At its end nothing may use it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(SIZE_BYTES)
    # No blocks are kept back for root: the disk must get full for us too.
    _run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
    _run("mount", "-o", "loop", str(image), str(folder))
    try:
        yield
    finally:
        # What still has a file open keeps the mount alive until it ends, and nothing of it is left then.
        _run("umount", "--lazy", str(folder))


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Fill the disk of `folder` to the last block, and give all of it back at the end."""
    ballast = folder / "ballast"
    try:
        _fill(ballast)
        yield
    finally:
        ballast.unlink(missing_ok=True)


def top_up(folder: Path) -> None:
    """Take again what was freed since: programs that close a file give some blocks back."""
    _fill(folder / "ballast")


def _fill(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    size = len(_CHUNK)
    try:
        while size:
            try:
                os.write(descriptor, _CHUNK[:size])
            except OSError:
                size //= 2
    finally:
        os.close(descriptor)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(
            f"`{' '.join(command)}` failed: {done.stderr.strip()}; the fault of a full disk needs a disk of its own: "
            "run as root, or in a container that may mount"
        )
