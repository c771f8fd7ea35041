"""The password of Redis, read from its file whenever a connection logs in: so it can change without a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError

PASSWORD_FILE: Final = "password_file"


class PasswordFile(CredentialProvider):
    """Connections that are open stay logged in when the file changes; the next one uses what is there then."""

    def __init__(self, user: str | None, path: str) -> None:
        self._user, self._path = user, Path(path)

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """(password) or (user, password). Raises redis's ConnectionError if the file cannot be read."""
        try:
            password = self._path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise RedisConnectionError(
                f"the password of Redis cannot be read from the file {str(self._path)!r}: {error.strerror}"
            ) from None
        return (self._user, password) if self._user else (password,)
