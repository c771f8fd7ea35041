"""Signatures of manifests and marks (ed25519), so that what was altered or comes from elsewhere is refused.

A signed object is one JSON document, so that it can never lack its signature:
{"payload": base64 of the content, "signature": base64, "key_id": which key}. What is signed begins with what it is for:
a manifest can stand for no mark.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from instrument_cache.backup.manifest import digest
from instrument_cache.errors import BackupRefused, SettingsError
from instrument_cache.settings import Environment

_KEY_BYTES: Final = 32
MANIFEST: Final = b"icache backup manifest\n"
GOOD: Final = b"icache backup good\n"


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    payload: bytes
    signature: bytes
    key_id: str


class SigningKeys:
    """A key that signs, or none, and the public keys that are trusted, that of the first included."""

    def __init__(self, signing_key: bytes | None, public_keys: Iterable[bytes] = ()) -> None:
        """Keys are 32 raw bytes each."""
        self._private = Ed25519PrivateKey.from_private_bytes(signing_key) if signing_key else None
        own = [self._private.public_key().public_bytes_raw()] if self._private else []
        self._public = {_key_id(raw): Ed25519PublicKey.from_public_bytes(raw) for raw in (*own, *public_keys)}

    @property
    def public_keys(self) -> list[str]:
        """The trusted keys, as ICACHE_BACKUP_PUBLIC_KEYS takes them; the own one first."""
        return [base64.urlsafe_b64encode(key.public_bytes_raw()).decode() for key in self._public.values()]

    def check_signs(self) -> None:
        """Raises SettingsError without a signing key."""
        self._signing()

    def sign(self, purpose: bytes, payload: bytes) -> bytes:
        """The object to store. Raises SettingsError without a signing key."""
        private = self._signing()
        signature = private.sign(purpose + payload)
        key_id = _key_id(private.public_key().public_bytes_raw())
        return msgspec.json.encode(_Signed(payload, signature, key_id))

    def _signing(self) -> Ed25519PrivateKey:
        if self._private is None:
            raise SettingsError(
                "the setting ICACHE_BACKUP_SIGNING_KEY is missing; docs/settings.md says how to make one"
            )
        return self._private

    def verified(self, purpose: bytes, body: bytes, what: str) -> bytes:
        """The content of a signed object. Raises BackupRefused: unsigned, or altered since."""
        signed = _parsed(body, what)
        key = self._public.get(signed.key_id)
        if key is None:
            raise BackupRefused("unsigned", f"{what} is signed by {signed.key_id[:40]!r}, which is not trusted here")
        try:
            key.verify(signed.signature, purpose + signed.payload)
        except InvalidSignature:
            raise BackupRefused("altered", f"{what} was altered after {signed.key_id} signed it") from None
        return signed.payload


def _parsed(body: bytes, what: str) -> _Signed:
    try:
        signed = msgspec.json.decode(body, type=_Signed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackupRefused("unsigned", f"{what} is no signed document: {error}") from None
    # Base64 has several spellings of the same bytes: only one is ours.
    if msgspec.json.encode(signed) != body:
        raise BackupRefused("altered", f"{what} is not written as it was signed")
    return signed


def _key_id(public_key: bytes) -> str:
    return digest(public_key)[:16]


def signing_keys(env: Environment) -> SigningKeys:
    """ICACHE_BACKUP_SIGNING_KEY, if it is set, and ICACHE_BACKUP_PUBLIC_KEYS. Raises SettingsError."""
    given = env.secret("ICACHE_BACKUP_SIGNING_KEY", "")
    trusted = env.variables.get("ICACHE_BACKUP_PUBLIC_KEYS", "").split(",")
    public = [decoded_key("ICACHE_BACKUP_PUBLIC_KEYS", text.strip()) for text in trusted if text.strip()]
    return SigningKeys(decoded_key("ICACHE_BACKUP_SIGNING_KEY", given) if given else None, public)


def decoded_key(setting: str, text: str) -> bytes:
    """32 bytes in base64, of either alphabet. Raises SettingsError, which does not show the key."""
    try:
        raw = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise SettingsError(
            f"{setting} must hold {_KEY_BYTES} bytes in base64; `openssl rand -base64 32` makes such a key"
        )
    return raw
