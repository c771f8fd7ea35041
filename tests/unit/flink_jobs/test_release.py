"""A release is its files: the same name, digest and archive wherever it is packed, and nothing else unpacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flink_jobs.launch.release import (
    Release,
    ReleaseError,
    check_version,
    local_release,
    release_of_archive,
    unpack,
)
from instrument_cache.settings import Environment
from tests.conftest import PROJECT

FILES = {"flink_jobs/job.py": b"x = 1\n", "contracts/instruments.yaml": b"id: instruments\n"}


def test_the_local_release_holds_code_and_contracts_and_no_bytecode() -> None:
    files = local_release(Environment({})).files
    assert {"flink_jobs/job.py", "flink_jobs/apply.py", "instrument_cache/store/guard.lua"} <= files.keys()
    assert files["contracts/instruments.yaml"] == (PROJECT / "contracts" / "instruments.yaml").read_bytes()
    assert not [name for name in files if name.endswith(".pyc") or "requirements" in name]


def test_an_unnamed_release_is_named_after_its_content_and_a_named_one_as_it_was_named() -> None:
    unnamed = local_release(Environment({}))
    assert unnamed.version == unnamed.digest[:12]
    assert local_release(Environment({"ICACHE_JOB_VERSION": "7"})).version == "7"


def test_contracts_come_from_the_folder_that_is_set(tmp_path: Path) -> None:
    (tmp_path / "bonds.yaml").write_text("id: bonds\n")
    files = local_release(Environment({"ICACHE_CONTRACTS": str(tmp_path), "ICACHE_DATASET": "bonds"})).files
    assert files["contracts/bonds.yaml"] == b"id: bonds\n"
    assert "contracts/instruments.yaml" not in files


def test_a_folder_that_is_far_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(b"\0" * 20_000_001)
    with pytest.raises(ReleaseError, match="the limit is 20000000"):
        local_release(Environment({"ICACHE_CONTRACTS": str(tmp_path)}))


def test_the_digest_tells_contents_apart_and_not_archives() -> None:
    release = Release("1", FILES)
    assert release.archive() == Release("1", FILES).archive()
    assert Release("2", FILES).digest == release.digest == Release("1", dict(reversed(FILES.items()))).digest
    assert Release("1", {**FILES, "flink_jobs/job.py": b"x = 2\n"}).digest != release.digest


def test_an_archive_unpacks_to_what_was_packed(tmp_path: Path) -> None:
    release = Release("1", FILES)
    again = release_of_archive("1", release.digest, release.archive())
    assert again == release
    unpack(again, tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == set(FILES)


def _with_another_file() -> bytes:
    return Release("1", {**FILES, "flink_jobs/extra.py": b""}).archive()


def _not_a_zip() -> bytes:
    return b"PK\x03\x04 no zip"


def _truncated() -> bytes:
    return Release("1", FILES).archive()[:-30]


def _altered_by_one_byte() -> bytes:
    archive = bytearray(Release("1", FILES).archive())
    archive[30 + len("flink_jobs/job.py") + 2] ^= 1  # in the first file's content
    return bytes(archive)


@pytest.mark.parametrize("damaged", [_with_another_file, _not_a_zip, _truncated, _altered_by_one_byte])
def test_an_archive_that_is_not_what_was_published_is_refused(damaged) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ReleaseError, match="publish the code anew"):
        release_of_archive("1", Release("1", FILES).digest, damaged())


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil.py", "a/../../evil.py"])
def test_a_name_that_leads_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    with pytest.raises(ReleaseError, match="outside"):
        unpack(Release("1", {name: b""}), folder)
    assert not (tmp_path / "evil.py").exists()


@pytest.mark.parametrize("version", ["", ".", "..", "a/b", "-x", "a b", "ü", "x" * 65, "1\n"])
def test_a_version_that_cannot_be_a_folder_is_refused(version: str) -> None:
    with pytest.raises(ReleaseError, match="1 to 64 letters"):
        check_version(version)


def test_shipped_code_uses_the_contract_it_brought_whatever_dataset_the_machine_serves(tmp_path: Path) -> None:
    unpack(local_release(Environment({})).shipped("bonds"), tmp_path)
    code = "from instrument_cache.settings import contract_path; print(contract_path())"
    environment = {"PYTHONPATH": str(tmp_path), "ICACHE_CONTRACTS": "/elsewhere", "ICACHE_DATASET": "instruments"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == str(tmp_path / "contracts" / "bonds.yaml"), done.stderr
