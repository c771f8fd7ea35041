"""A folder for one task. What a killed process left is removed by the next one that asks for a folder."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from instrument_cache.errors import ScratchUnavailable

_PREFIX: Final = "icache-scratch-"
_OWNER: Final = "owner"


@contextmanager
def scratch_folder(free_bytes_min: int, parent: Path | None = None) -> Iterator[Path]:
    """A new folder of mode 0700, removed with the block. `parent`: where; None: in TMPDIR, else in the system's.

    Raises ScratchUnavailable if it cannot be made, or less than `free_bytes_min` is free there.
    """
    # Without a look at TMPDIR, Python itself passes over it while its disk is full, and takes another in silence.
    parent = parent or Path(os.environ.get("TMPDIR") or tempfile.gettempdir())
    try:
        _sweep(parent)
        _check_free(parent, free_bytes_min)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        owner = _own(folder)
    except OSError as error:
        raise ScratchUnavailable(f"no scratch folder in {parent}: {error.strerror}; TMPDIR names another") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(owner)


def _own(folder: Path) -> int:
    """Hold the folder's lock as long as this process lives."""
    owner = os.open(folder / _OWNER, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(owner, fcntl.LOCK_EX)
    return owner


def _check_free(parent: Path, free_bytes_min: int) -> None:
    free = shutil.disk_usage(parent).free
    if free < free_bytes_min:
        raise ScratchUnavailable(
            f"{parent} has {free // 1_000_000} MB free and {free_bytes_min // 1_000_000} MB are needed; "
            "free some, or set TMPDIR to another place"
        )


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    owner = os.open(folder / _OWNER, os.O_RDWR)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(owner)
