"""The public keys of those who issue tokens: read from a file or a URL, kept, and read again in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, cast
from urllib.request import HTTPRedirectHandler, Request, build_opener

import msgspec
import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from lookup_app.protection.identity import keys_unavailable
from lookup_app.protection.settings import JwtSettings

logger = structlog.get_logger()
# How long a request waits for keys that are just being read. The reading itself goes on behind it.
WAIT_S: Final = 0.25
_FETCH_S_MAX: Final = 5.0
_STEP_S_MAX: Final = 2.0
_BYTES_MAX: Final = 1024 * 1024
_BY_TYPE: Final = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}


class Key(NamedTuple):
    """A public key, and the algorithms that may be checked with it: a token does not choose them by itself."""

    public: Any
    algorithms: tuple[str, ...]


class KeySet:
    """Keys by their id. Safe to share between threads. Times in seconds of a monotonic clock."""

    def __init__(
        self,
        settings: JwtSettings,
        fetch: Callable[[], bytes],
        on_change: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._fetch, self._on_change, self._monotonic = settings, fetch, on_change, monotonic
        self._keys: Mapping[str, Key] = {}
        self._document = b""
        self._loaded_at_s: float | None = None
        self._tried_at_s: float | None = None
        self._failed = False
        self.generation = 0
        self._due = threading.Event()
        self._ended = False
        self._read = threading.Condition()

    def start(self) -> None:
        """Read the keys now and from time to time, in a thread of its own."""
        self._due.set()
        threading.Thread(target=self._run, name="jwks", daemon=True).start()

    def close(self) -> None:
        """Read them no more."""
        self._ended = True
        self._due.set()

    def key(self, kid: str) -> Key | None:
        """The key with this id, or None if there is none. Raises Problem `keys-unavailable` if that cannot be told."""
        if (found := self._fresh().get(kid)) is not None:
            return found
        self._read_again()
        found = self._fresh().get(kid)
        if found is None and (self._failed or self._loaded_at_s is None):
            raise keys_unavailable("The issuer's keys cannot be read, and the token names one that is not known.")
        return found

    def refresh(self) -> None:
        """Read the keys. A failure leaves those that are known, until they are too old."""
        self._tried_at_s = self._monotonic()
        try:
            document = self._fetch()
            keys = _keys_of(document, self._settings.algorithms) if document != self._document else self._keys
        except (OSError, ValueError, msgspec.DecodeError, PyJWTError) as error:
            self._fail(error)
        else:
            self._accept(document, keys)

    def _accept(self, document: bytes, keys: Mapping[str, Key]) -> None:
        changed = document != self._document
        self._document, self._keys, self._failed = document, keys, False
        self._loaded_at_s = self._monotonic()
        if changed:
            self.generation += 1
            logger.info("jwks_read", keys=sorted(keys))
            self._on_change()

    def _fail(self, error: Exception) -> None:
        self._failed = True
        logger.warning("jwks_unavailable", source=self._settings.jwks, error=str(error)[:200])

    def _fresh(self) -> Mapping[str, Key]:
        """The known keys, unless they are too old to be believed."""
        loaded_at_s = self._loaded_at_s
        if loaded_at_s is not None and self._monotonic() - loaded_at_s <= self._settings.keys_age_s_max:
            return self._keys
        if loaded_at_s is not None:
            raise keys_unavailable("The issuer's keys could not be read for too long.")
        return {}

    def _read_again(self) -> None:
        """Have the keys read, unless that was done a moment ago, and wait shortly for it."""
        now_s = self._monotonic()
        tried_at_s = self._tried_at_s
        with self._read:
            if tried_at_s is None or now_s - tried_at_s >= self._settings.cooldown_s:
                self._due.set()
            if self._due.is_set():
                self._read.wait(WAIT_S)

    def _run(self) -> None:
        while True:
            self._due.wait(self._pause_s())
            if self._ended:
                return
            self.refresh()
            with self._read:
                self._due.clear()
                self._read.notify_all()

    def _pause_s(self) -> float:
        return self._settings.cooldown_s if self._failed else self._settings.refresh_s


def fetcher(place: str) -> Callable[[], bytes]:
    """Reads the document at a path or URL. Raises OSError, or ValueError for one that is too large or too slow."""
    if "://" not in place:
        return Path(place).read_bytes
    return lambda: _download(place)


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        """The setting says whom to believe; nobody else does."""


def _download(url: str) -> bytes:
    deadline_s = time.monotonic() + _FETCH_S_MAX
    request = Request(url, headers={"Accept": "application/jwk-set+json, application/json"})
    parts: list[bytes] = []
    with build_opener(_NoRedirects).open(request, timeout=_STEP_S_MAX) as answer:
        while part := answer.read1(65536):
            parts.append(part)
            if sum(map(len, parts)) > _BYTES_MAX or time.monotonic() > deadline_s:
                raise ValueError(f"the answer has more than {_BYTES_MAX} bytes or takes more than {_FETCH_S_MAX} s")
    return b"".join(parts)


def _keys_of(document: bytes, allowed: tuple[str, ...]) -> dict[str, Key]:
    """The document's signing keys by id. Those of other kinds (a shared secret, for encryption) are passed over."""
    found = msgspec.json.decode(document, type=dict[str, Any]).get("keys")
    if not isinstance(found, list):
        raise ValueError('the document is no JWK Set: it has no list "keys"')
    entries = cast("list[dict[str, Any]]", [entry for entry in found if isinstance(entry, dict)])
    keys = {str(entry["kid"]): key for entry in entries if entry.get("kid") and (key := _key_of(entry, allowed))}
    if not keys:
        raise ValueError(f"the document has no signing key with a kid for {', '.join(allowed)}")
    return keys


def _key_of(entry: Mapping[str, Any], allowed: tuple[str, ...]) -> Key | None:
    if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
        return None
    families = _BY_TYPE.get(str(entry.get("kty")), ())
    usable = tuple(name for name in allowed if name.startswith(families) and entry.get("alg", name) == name)
    if not families or not usable:
        return None
    try:
        return Key(_public(PyJWK(dict(entry), algorithm=usable[0])), usable)
    except PyJWTError as error:
        logger.warning("jwk_unusable", kid=str(entry.get("kid"))[:100], error=str(error)[:200])
        return None


def _public(jwk: PyJWK) -> Any:
    """Who puts a private key into the set by mistake still has its public half used only."""
    return jwk.key.public_key() if hasattr(jwk.key, "public_key") else jwk.key
