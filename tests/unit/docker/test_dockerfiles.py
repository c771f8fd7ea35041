"""The Dockerfiles: what they copy exists, what they install is hash-checked, and nothing runs as root."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local_stack.instance import PROJECT

DOCKERFILES = sorted((PROJECT / "docker").glob("*.Dockerfile"))
LOCKS = PROJECT / "docker" / "locks"
each_dockerfile = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)


def test_one_per_runtime() -> None:
    assert [path.name.removesuffix(".Dockerfile") for path in DOCKERFILES] == ["airflow", "flink", "lookup"]


@each_dockerfile
def test_copies_what_exists_and_what_the_build_context_holds(path: Path) -> None:
    allowed = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for instruction in _instructions(path, "COPY"):
        if "--from=" in instruction:
            continue
        for source in instruction.split()[1:-1]:
            assert (PROJECT / source).exists(), instruction
            assert source.partition("/")[0] in allowed, instruction


@each_dockerfile
def test_installs_only_what_a_lock_holds(path: Path) -> None:
    installs = re.findall(r"pip install [^&]*", " ".join(_instructions(path, "RUN")))
    assert installs
    for install in installs:
        assert "--require-hashes" in install
        assert set(re.findall(r"-r /build/(\S+)", install)) == set(re.findall(r"/build/(\S+)", install))


@each_dockerfile
def test_every_lock_has_a_hash_for_each_pin(path: Path) -> None:
    for instruction in _instructions(path, "COPY"):
        for source in re.findall(r"\S+\.txt", instruction):
            blocks = re.split(r"^(?=[a-z0-9])", (PROJECT / source).read_text(), flags=re.MULTILINE | re.IGNORECASE)
            for block in filter(lambda text: "==" in text, blocks):
                assert "--hash=sha256:" in block, block[:60]


@each_dockerfile
def test_the_base_image_is_an_argument(path: Path) -> None:
    text = path.read_text()
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE))
    assert set(bases) - stages <= {"${BASE}", "${MAVEN}"}
    for default in re.findall(r"^ARG \w+=(\S+)", text, re.MULTILINE):
        assert ":" in default
        assert not default.endswith(":latest")


@each_dockerfile
def test_runs_as_a_user_without_rights_from_the_projects_folder(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["10001:10001"]
    assert re.search(r"PYTHONPATH=/opt/instrument-cache\b", text)


@each_dockerfile
def test_holds_no_secret(path: Path) -> None:
    assert not re.search(r"password|token|secret", path.read_text(), re.IGNORECASE)


def test_the_pod_runners_pins_are_those_of_the_laptop() -> None:
    laptop = _pins(PROJECT / "requirements.txt")
    for name, pin in _pins(LOCKS / "pod-runner.txt").items():
        assert laptop[name] == pin, name


def test_flink_and_airflow_share_no_pin_with_their_additions_that_differs() -> None:
    for addition, lock in (("airflow-postgres", "requirements.txt"), ("flink-build", "flink_jobs/requirements.txt")):
        main = _pins(PROJECT / lock)
        for name, pin in _pins(LOCKS / f"{addition}.txt").items():
            assert main.get(name, pin) == pin


def _instructions(path: Path, kind: str) -> list[str]:
    """Each instruction of a kind, with its continued lines joined and its comments left out."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [line for line in joined.splitlines() if line.startswith(f"{kind} ")]


def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", lock.read_text(), re.MULTILINE))
