"""A release: the code and the contracts of one version of the job, as files that Flink's workers import.

`flink run` ships the archive, so what a worker runs is decided by the submission and not by its TaskManager's image.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from instrument_cache.errors import InstrumentCacheError
from instrument_cache.settings import RELEASE_MARK, Environment, contract_path

PROJECT: Final = Path(__file__).resolve().parents[2]
CODE_FOLDERS: Final = ("instrument_cache", "flink_jobs")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAME_DIGITS: Final = 12
_BYTES_MAX: Final = 20_000_000
# Archives of the same files are the same bytes, whenever and wherever they are packed.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


class ReleaseError(InstrumentCacheError):
    """A release that cannot be used: its name, its content, or what is known of it."""


@dataclass(frozen=True)
class Release:
    """`files` maps relative paths to contents. `digest` is the SHA-256 over both, whatever the archive looks like."""

    version: str
    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        return files_digest(self.files)

    def archive(self) -> bytes:
        """A zip of the files."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in self.files.items():
                file.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
        return packed.getvalue()

    def shipped(self, dataset: str) -> Release:
        """The release with a mark in it that tells a worker its dataset: a TaskManager may serve many."""
        mark = {"version": self.version, "digest": self.digest, "dataset": dataset}
        return Release(self.version, {**self.files, RELEASE_MARK: json.dumps(mark).encode()})


def release_of_archive(version: str, digest: str, archive: bytes) -> Release:
    """Unpack in memory. Raises ReleaseError for an archive that is damaged or is not the release of that digest."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as file:
            files = {name: file.read(name) for name in file.namelist()}
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError) as error:
        raise ReleaseError(f"the archive of release {version!r} is damaged: {error}; publish the code anew") from error
    if files_digest(files) != digest:
        raise ReleaseError(f"the archive of release {version!r} is not what was published; publish the code anew")
    return Release(version, files)


def local_release(env: Environment) -> Release:
    """The code beside this file, with the contracts of ICACHE_CONTRACTS.

    Its version is ICACHE_JOB_VERSION, or the beginning of its digest, so that other code always has another name.
    Raises ReleaseError for a version that cannot be a folder's name, or for more than a release may hold.
    """
    files = dict(sorted({**_code(), **_contracts(contract_path(env).parent)}.items()))
    size = sum(map(len, files.values()))
    if size > _BYTES_MAX:
        raise ReleaseError(
            f"the release would have {size} bytes, the limit is {_BYTES_MAX}; tidy the contracts' folder"
        )
    version = env.variables.get("ICACHE_JOB_VERSION") or files_digest(files)[:_NAME_DIGITS]
    return Release(check_version(version), files)


def check_version(version: str) -> str:
    """The version itself. Raises ReleaseError if it cannot name a folder and a job."""
    if not _VERSION.fullmatch(version):
        rule = "it must be 1 to 64 letters, digits, '.', '_' or '-', and begin with a letter or a digit"
        raise ReleaseError(f"the job version is {version!r}; {rule}")
    return version


def files_digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 over the sorted names and the contents."""
    lines = (f"{name}\0{hashlib.sha256(content).hexdigest()}\n" for name, content in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def unpack(release: Release, folder: Path) -> None:
    """Write the files below `folder`. Raises ReleaseError for a name that leads out of it."""
    for name, content in release.files.items():
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ReleaseError(f"release {release.version!r} holds {name!r}, which lies outside of it; do not use it")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _code() -> dict[str, bytes]:
    return {
        path.relative_to(PROJECT).as_posix(): path.read_bytes()
        for folder in CODE_FOLDERS
        for path in _files(PROJECT / folder)
        if not path.name.startswith("requirements")
    }


def _contracts(folder: Path) -> dict[str, bytes]:
    return {f"contracts/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in _files(folder)}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
