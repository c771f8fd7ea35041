"""From a URL to a source, also to one that the kernel does not know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment
from instrument_cache.source import registry
from instrument_cache.source.interface import SnapshotBegin
from instrument_cache.source.memory import MemorySource

NO_SETTINGS = Environment({})


def test_memory_is_a_new_source_each_time() -> None:
    first, second = (registry.open_source("memory://bonds", NO_SETTINGS) for _ in range(2))
    assert first is not second
    assert next(iter(first.snapshot())) == SnapshotBegin("bonds", 0, 0)


def test_the_url_comes_from_the_setting() -> None:
    assert isinstance(registry.open_source(env=Environment({"ICACHE_SOURCE_URL": "memory://"})), MemorySource)
    with pytest.raises(SettingsError, match="ICACHE_SOURCE_URL"):
        registry.open_source(env=NO_SETTINGS)


@pytest.mark.parametrize("url", ["http://127.0.0.1/instruments", "amps-of-nobody://host", "instruments"])
def test_an_unknown_scheme_names_the_known_ones(url: str) -> None:
    with pytest.raises(SettingsError, match=r"memory, sow\+http, sow\+https"):
        registry.open_source(url, NO_SETTINGS)


def test_a_registered_scheme_is_resolved_when_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_TARGETS", {})
    registry.register("twin", "instrument_cache.source.memory:open_source")
    registry.register("broken", "instrument_cache.source.nowhere:open_source")
    assert isinstance(registry.open_source("twin://", NO_SETTINGS), MemorySource)
    with pytest.raises(SettingsError, match="nowhere"):
        registry.open_source("broken://", NO_SETTINGS)


def test_an_installed_package_can_bring_a_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "amps_adapter-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: amps-adapter\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[instrument_cache.sources]\namps = amps_adapter:open_source\n")
    (tmp_path / "amps_adapter.py").write_text("from instrument_cache.source.memory import open_source\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "amps" in registry.schemes()
    assert isinstance(registry.open_source("amps://host:9007/instruments", NO_SETTINGS), MemorySource)


def test_the_kernel_does_not_import_the_adapters() -> None:
    code = "import sys, instrument_cache.source.registry; print([m for m in ('feed', 'httpx') if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
