"""What every holder of secrets does: a folder of files, and a Secret of Kubernetes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from instrument_cache.errors import HolderUnavailable, SettingsError
from instrument_cache.rotation.assembly import holder_of
from instrument_cache.rotation.folder_holder import FolderHolder
from instrument_cache.rotation.model import Holder
from instrument_cache.rotation.secret_holder import SecretHolder
from instrument_cache.rotation.settings import rotation_settings
from instrument_cache.settings import Environment
from tests.contract.rotation.kubernetes_api import NAME, NAMESPACE, SecretsApi

Put = Callable[[str, str], None]


@pytest.fixture
def secrets() -> Iterator[SecretsApi]:
    with SecretsApi() as api:
        yield api
        api.shutdown()


@pytest.fixture(params=["folder", "kubernetes"])
def held(request: pytest.FixtureRequest, tmp_path: Path, secrets: SecretsApi) -> tuple[Holder, Put]:
    """A holder, and a way past it to put a text there."""
    if request.param == "folder":
        return FolderHolder(tmp_path), lambda slot, text: (tmp_path / slot).write_text(text) and None
    return SecretHolder(NAMESPACE, NAME, secrets.api), secrets.put


def test_it_reads_what_is_there(held: tuple[Holder, Put]) -> None:
    holder, put = held
    assert holder.read("redis_password") is None
    put("redis_password", "påss word\n")
    assert holder.read("redis_password") == "påss word"
    assert holder.read("redis_password.rotation") is None


def test_it_writes_replaces_and_removes_and_leaves_the_others(held: tuple[Holder, Put]) -> None:
    holder, put = held
    put("other", "stays")
    holder.write({"slot.rotation": '{"a": 1}', "slot": "first"})
    holder.write({"slot": "second\nline"})
    assert [holder.read(name) for name in ("slot", "slot.rotation", "other")] == ["second\nline", '{"a": 1}', "stays"]
    holder.write({"slot.rotation": None, "never": None})
    assert [holder.read(name) for name in ("slot", "slot.rotation", "other")] == ["second\nline", None, "stays"]


def test_a_file_keeps_its_mode_and_a_new_one_is_closed(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    (tmp_path / "old").chmod(0o640)
    FolderHolder(tmp_path).write({"old": "y", "new": "z"})
    assert [oct((tmp_path / name).stat().st_mode & 0o777) for name in ("old", "new")] == ["0o640", "0o600"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    holder = FolderHolder(tmp_path / "nowhere")
    assert holder.read("slot") is None
    with pytest.raises(HolderUnavailable, match=r"'slot' in '.*nowhere' cannot be used: No such file"):
        holder.write({"slot": "very-secret"})


@pytest.mark.parametrize(("name", "token", "told"), [(NAME, "another", "401"), ("another", "", "403")])
def test_a_right_that_is_missing_is_told_without_the_secret(
    secrets: SecretsApi, name: str, token: str, told: str
) -> None:
    holder = SecretHolder(NAMESPACE, name, lambda: secrets.api(token) if token else secrets.api())
    for call in (lambda: holder.read("slot"), lambda: holder.write({"slot": "very-secret"})):
        with pytest.raises(HolderUnavailable, match=f"the Secret {NAMESPACE}/{name} cannot be used: {told}") as refused:
            call()
        assert "secret" not in str(refused.value).replace("Secret", "")


def test_an_api_that_is_away_and_a_value_that_is_no_text(secrets: SecretsApi) -> None:
    secrets.data["slot"] = "/w=="
    with pytest.raises(HolderUnavailable, match=r"'slot' .* holds no text"):
        SecretHolder(NAMESPACE, NAME, secrets.api).read("slot")
    away = SecretsApi()
    away.shutdown()
    away.server_close()
    with pytest.raises(HolderUnavailable, match="cannot be used: NewConnectionError"):
        SecretHolder(NAMESPACE, NAME, away.api).read("slot")


def test_outside_of_a_cluster_that_is_said() -> None:
    given = {"ICACHE_ROTATION_SECRETS": "redis:a=b", "ICACHE_ROTATION_HOLDER": "kubernetes:cache/instrument-cache"}
    holder = holder_of(rotation_settings(Environment(given)))
    with pytest.raises(SettingsError, match="does not run in a cluster"):
        holder.read("slot")
