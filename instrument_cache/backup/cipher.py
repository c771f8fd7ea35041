"""Encryption of a backup's objects before they leave this machine: AES-256-GCM, bound to the object's place."""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from instrument_cache.backup.manifest import Encryption, digest
from instrument_cache.backup.signing import decoded_key
from instrument_cache.errors import BackupRefused
from instrument_cache.settings import Environment

ALGORITHM: Final = "AES-256-GCM"
_NONCE_BYTES: Final = 12


class Cipher:
    """Encrypts with one key."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 bytes."""
        self._aead = AESGCM(key)
        self.encryption = Encryption(algorithm=ALGORITHM, key_id=digest(b"icache backup encryption\n" + key)[:16])

    def encrypt(self, body: bytes, place: str) -> bytes:
        """The bytes to store; `place` must be the same when they are decrypted."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, body, place.encode())

    def decrypt(self, stored: bytes, place: str) -> bytes:
        """Raises BackupRefused if they are not what was encrypted for this place."""
        try:
            return self._aead.decrypt(stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError):
            raise BackupRefused(
                "altered", f"{place} cannot be decrypted: it was altered, or belongs elsewhere"
            ) from None


def cipher(env: Environment) -> Cipher | None:
    """The cipher of ICACHE_BACKUP_ENCRYPTION_KEY; None if it is not set. Raises SettingsError."""
    given = env.secret("ICACHE_BACKUP_ENCRYPTION_KEY", "")
    return Cipher(decoded_key("ICACHE_BACKUP_ENCRYPTION_KEY", given)) if given else None
