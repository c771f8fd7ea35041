"""Secrets as files of a folder, one per slot, as a laptop has them and as a cluster mounts them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from instrument_cache.errors import HolderUnavailable


class FolderHolder:
    """Implements `Holder`. Files keep their mode, new ones get 0600; who reads one gets the old text or the new one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, slot: str) -> str | None:
        try:
            return (self._folder / slot).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._away(slot, error) from None

    def write(self, values: Mapping[str, str | None]) -> None:
        for slot, value in values.items():
            try:
                self._write(self._folder / slot, value)
            except OSError as error:
                raise self._away(slot, error) from None

    def _write(self, path: Path, value: str | None) -> None:
        if value is None:
            path.unlink(missing_ok=True)
            return
        mode = 0o600
        with suppress(FileNotFoundError):
            mode = path.stat().st_mode & 0o777
        scratch = path.with_name(f".{path.name}.new")
        with open(scratch, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())  # a power cut must not lose a secret that the system already knows
        scratch.replace(path)

    def _away(self, slot: str, error: OSError) -> HolderUnavailable:
        return HolderUnavailable(f"the secret {slot!r} in {str(self._folder)!r} cannot be used: {error.strerror}")
