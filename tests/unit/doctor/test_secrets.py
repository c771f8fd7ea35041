"""What the doctor says of secrets that rotate."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from instrument_cache.doctor.model import Finding
from instrument_cache.doctor.secrets_part import look_at_secrets
from instrument_cache.rotation.jwt_key import private_jwk, published
from instrument_cache.rotation.model import Exchange
from instrument_cache.settings import Environment

NAME = "jwt:login"


@pytest.fixture
def key(tmp_path: Path) -> str:
    made = private_jwk("EdDSA")
    (tmp_path / "signer").write_text(made)
    (tmp_path / "signer.jwks").write_bytes(msgspec.json.encode({"keys": [published(made)]}))
    return made


def look(folder: Path) -> Finding:
    settings = {"ICACHE_ROTATION_HOLDER": f"folder:{folder}", "ICACHE_ROTATION_SECRETS": f"{NAME}=signer"}
    (finding,) = look_at_secrets(Environment(settings))
    return finding


def begun(folder: Path, key: str, at_s: float) -> None:
    exchange = Exchange(key, private_jwk("EdDSA"), at_s)
    (folder / "signer.rotation").write_bytes(msgspec.json.encode(exchange))


@pytest.mark.usefixtures("key")
def test_what_consumers_read_is_believed(tmp_path: Path) -> None:
    assert look(tmp_path) == Finding("secrets", "ok", "1 secrets that rotate are what their consumers read")


@pytest.mark.usefixtures("key")
def test_what_consumers_read_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "signer").write_text(private_jwk("EdDSA"))
    found = look(tmp_path)
    assert (found.severity, found.mend) == ("red", "write the secret that is in use into the slot")
    assert found.sentence == f"{NAME}: what consumers read is not believed: new logins fail"


def test_a_rotation_that_stands_half_way(tmp_path: Path, key: str) -> None:
    begun(tmp_path, key, time.time() - 3600)
    assert look(tmp_path).severity == "ok", "it may take its time"
    begun(tmp_path, key, time.time() - 100_000)
    found = look(tmp_path)
    assert (found.severity, found.mend) == ("warn", f"icache secrets rotate {NAME}, or icache secrets rollback {NAME}")
    assert key not in str(found)


def test_what_cannot_be_told(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert (found.severity, found.sentence.startswith(f"{NAME}: the slot 'signer' is empty")) == ("warn", True)
