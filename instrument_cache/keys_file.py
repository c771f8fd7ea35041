"""The keys of S3, read from their file for each request: so they can change without a restart.

The file has the form of AWS's own: `[default]`, `aws_access_key_id`, `aws_secret_access_key`.
"""

from __future__ import annotations

from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path
from typing import Any, Final

import botocore.session
from botocore.credentials import CredentialProvider, Credentials, ReadOnlyCredentials
from botocore.exceptions import CredentialRetrievalError

_SECTION: Final = "default"
_NAMES: Final = ("aws_access_key_id", "aws_secret_access_key")


def keys_text(access_key: str, secret_key: str) -> str:
    """What the file holds."""
    values = zip(_NAMES, (access_key, secret_key), strict=True)
    return "\n".join([f"[{_SECTION}]", *(f"{name} = {value}" for name, value in values)])


def parse_keys(text: str) -> tuple[str, str]:
    """Access key and secret key. Raises ValueError, whose text has nothing of the file in it."""
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
        return parser[_SECTION][_NAMES[0]], parser[_SECTION][_NAMES[1]]
    except (ConfigError, KeyError):
        raise ValueError(f"it has no section [{_SECTION}] with {' and '.join(_NAMES)}") from None


class KeysFile(Credentials):
    """As botocore asks for them before it signs a request. Raises BotoCoreError if the file cannot be read."""

    method = "keys-file"

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self.token = None

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        try:
            access_key, secret_key = parse_keys(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            told = f"{str(self._path)!r} cannot be used: {reason}"
            raise CredentialRetrievalError(provider=self.method, error_msg=told) from None
        return ReadOnlyCredentials(access_key, secret_key, None)

    @property
    def access_key(self) -> str:  # type: ignore[override]
        return str(self.get_frozen_credentials().access_key)

    @property
    def secret_key(self) -> str:  # type: ignore[override]
        return str(self.get_frozen_credentials().secret_key)


def session_with(path: str) -> Any:
    """A session of botocore whose clients sign with what the file holds at that time."""

    class Provider(CredentialProvider):
        METHOD = KeysFile.method

        def load(self) -> Credentials:
            return KeysFile(path)

    session: Any = botocore.session.get_session()
    session.get_component("credential_provider").insert_before("env", Provider())
    return session
