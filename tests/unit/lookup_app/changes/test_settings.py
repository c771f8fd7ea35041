"""The settings of the change stream are checked at the start."""

from __future__ import annotations

import pytest

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment
from lookup_app.changes.settings import changes_settings

NEEDED = {"ICACHE_REDIS_URL": "redis://:secret@127.0.0.1:1/0", "ICACHE_KAFKA_BOOTSTRAP": "127.0.0.1:2"}


def test_defaults() -> None:
    settings = changes_settings(Environment(NEEDED))
    assert (settings.clients_max, settings.waiting_bytes_max, settings.origins) == (2000, 1024 * 1024, ())
    assert "secret" not in repr(settings)


def test_origins() -> None:
    text = "https://a.example, http://127.0.0.1:8000"
    settings = changes_settings(Environment({**NEEDED, "ICACHE_LOOKUP_CHANGES_ORIGINS": text}))
    assert settings.origins == ("https://a.example", "http://127.0.0.1:8000")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ICACHE_KAFKA_BOOTSTRAP", ""),
        ("ICACHE_LOOKUP_CHANGES_ORIGINS", "a.example"),
        ("ICACHE_LOOKUP_CHANGES_ORIGINS", "https://a.example/path"),
        ("ICACHE_LOOKUP_CHANGES_CLIENTS_MAX", "0"),
        ("ICACHE_LOOKUP_CHANGES_HEARTBEAT_S", "often"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        changes_settings(Environment({**NEEDED, name: value}))
