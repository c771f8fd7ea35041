"""The keys that sign and encrypt, as settings give them."""

from __future__ import annotations

import base64

import pytest

from instrument_cache.backup.cipher import Cipher, cipher
from instrument_cache.backup.signing import GOOD, MANIFEST, SigningKeys, signing_keys
from instrument_cache.errors import BackupRefused, SettingsError
from instrument_cache.settings import Environment

RAW = bytes(range(200, 232))
STANDARD, URL_SAFE = base64.b64encode(RAW).decode(), base64.urlsafe_b64encode(RAW).decode()


@pytest.mark.parametrize("text", [STANDARD, URL_SAFE])
def test_both_alphabets_of_base64_are_the_same_key(text: str) -> None:
    signed = signing_keys(Environment({"ICACHE_BACKUP_SIGNING_KEY": text})).sign(MANIFEST, b"x")
    assert SigningKeys(RAW).verified(MANIFEST, signed, "it") == b"x"


@pytest.mark.parametrize("text", ["secret-of-some-kind", "AAAA", base64.b64encode(RAW + b"x").decode(), "ä"])
def test_what_is_no_key_is_refused_without_showing_it(text: str) -> None:
    for name, read in (("SIGNING", signing_keys), ("ENCRYPTION", cipher)):
        with pytest.raises(SettingsError, match=f"ICACHE_BACKUP_{name}_KEY must hold 32 bytes") as error:
            read(Environment({f"ICACHE_BACKUP_{name}_KEY": text}))
        assert text not in str(error.value)


def test_without_a_signing_key_one_can_read_and_not_make() -> None:
    own = SigningKeys(RAW)
    reader = signing_keys(Environment({"ICACHE_BACKUP_PUBLIC_KEYS": f" {own.public_keys[0]} ,"}))
    assert reader.verified(GOOD, own.sign(GOOD, b"x"), "it") == b"x"
    with pytest.raises(SettingsError, match="ICACHE_BACKUP_SIGNING_KEY is missing"):
        reader.sign(GOOD, b"x")


def test_what_is_signed_for_one_purpose_stands_for_no_other() -> None:
    with pytest.raises(BackupRefused, match="altered"):
        SigningKeys(RAW).verified(MANIFEST, SigningKeys(RAW).sign(GOOD, b"x"), "it")


def test_what_is_encrypted_opens_only_in_its_place_and_with_its_key() -> None:
    stored = Cipher(RAW).encrypt(b"plain", "shard 1")
    assert b"plain" not in stored
    assert Cipher(RAW).decrypt(stored, "shard 1") == b"plain"
    assert cipher(Environment({})) is None
    for other, place in ((Cipher(RAW), "shard 2"), (Cipher(RAW[::-1]), "shard 1")):
        with pytest.raises(BackupRefused, match="cannot be decrypted"):
            other.decrypt(stored, place)
    with pytest.raises(BackupRefused, match="cannot be decrypted"):
        Cipher(RAW).decrypt(b"short", "shard 1")
