"""A part that must not start on a full disk waits for room."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local_stack import launch


def test_waits_until_the_disk_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    free = iter([0, 0, 99_000_000, 100_000_000])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: type("Usage", (), {"free": next(free)}))
    launch.await_disk(tmp_path, pause_s=0)
    assert list(free) == []
    assert f"the disk of {tmp_path} has less than 100 MB free" in capsys.readouterr().out


def test_does_not_wait_when_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 100_000_000}))
    launch.await_disk(tmp_path, pause_s=60)
