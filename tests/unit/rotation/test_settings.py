"""Which secrets rotate, and what is refused."""

from __future__ import annotations

import pytest

from instrument_cache.errors import SettingsError
from instrument_cache.rotation.assembly import rotation_of
from instrument_cache.rotation.operation import Looked, SecretRotation, sentence
from instrument_cache.rotation.settings import Secret, rotation_settings
from instrument_cache.settings import Environment

BASE = {"ICACHE_ROTATION_HOLDER": "folder:/secrets", "ICACHE_REDIS_URL": "redis://127.0.0.1:1"}


def env(secrets: str, **more: str) -> Environment:
    return Environment({**BASE, "ICACHE_ROTATION_SECRETS": secrets, **more})


def test_each_secret_has_a_kind_an_owner_and_a_slot() -> None:
    found = rotation_settings(env("redis:default=redis_password, api-key:desk-1=keys.desk,jwt:login.example=signer"))
    assert found.secrets == (
        Secret("redis", "default", "redis_password"),
        Secret("api-key", "desk-1", "keys.desk"),
        Secret("jwt", "login.example", "signer"),
    )
    assert found.secret("api-key:desk-1").slot == "keys.desk"
    with pytest.raises(SettingsError, match=r"no secret 'redis:other' .* which has redis:default, api-key:desk-1"):
        found.secret("redis:other")


@pytest.mark.parametrize(
    "text", ["redis:default", "redis=slot", "ftp:a=b", "redis:a=../b", "redis:=b", "redis:a=b,", "redis:a=b/c"]
)
def test_what_is_no_secret_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="must be KIND:OWNER=SLOT"):
        rotation_settings(env(text))


@pytest.mark.parametrize("text", ["redis:a=b,redis:a=c", "redis:a=b,redis:c=b"])
def test_nothing_is_there_twice(text: str) -> None:
    with pytest.raises(SettingsError, match="may be there twice"):
        rotation_settings(env(text))


@pytest.mark.parametrize("holder", ["/secrets", "folder:", "vault:secret/x"])
def test_a_place_of_another_kind_is_refused(holder: str) -> None:
    settings = rotation_settings(env("redis:a=b", ICACHE_ROTATION_HOLDER=holder))
    with pytest.raises(SettingsError, match="ICACHE_ROTATION_HOLDER is"):
        rotation_of(env("redis:a=b"), settings, settings.secrets[0])


def test_who_cannot_be_asked_is_told_as_such_and_nothing_is_begun() -> None:
    rotation = SecretRotation(env("redis:default=redis_password"))
    (state,) = rotation.states(rotation.chosen([]))
    assert (state.phase, state.ok) == (None, False)
    assert "redis_password' is empty" in state.sentence


def test_the_sentence_names_what_is_not_done() -> None:
    looked = [Looked("redis:a", True, ""), Looked("jwt:b", False, "it waits")]
    assert sentence(looked, back=False) == "1 of 2 secrets rotated; jwt:b: it waits"
    assert sentence(looked[:1], back=True) == "1 of 1 secrets rolled back"


def test_a_task_that_did_not_end_is_not_taken_for_done() -> None:
    rotation = SecretRotation(env("redis:default=redis_password"))
    (looked,) = rotation.outcome(["redis:default"], None)
    assert not looked.ok
    (looked,) = rotation.outcome(["redis:default"], {"redis:default": "it was refused"})
    assert looked == Looked("redis:default", False, "it was refused")
