"""One row of the source by its key, over HTTP, within one time limit."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from instrument_cache.errors import SourceUnavailable
from lookup_app.fallback.settings import FallbackSettings

VERSION_HEADER: Final = "Sow-Version"
TIMESTAMP_HEADER: Final = "Sow-Timestamp"


class SourceRow(NamedTuple):
    """A row byte for byte, with the source's version of it and its time of publishing (0: not told)."""

    payload: bytes
    version: int
    timestamp_us: int


class RowSource:
    """Asks for rows of one dataset. Safe to share between threads: each call has a connection of its own."""

    def __init__(self, settings: FallbackSettings, dataset: str, row_bytes_max: int) -> None:
        self._template = urlsplit(settings.url.replace("{dataset}", quote(dataset, safe="")))
        self._timeout_s, self._row_bytes_max = settings.timeout_s, row_bytes_max
        self._headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}

    def row(self, key: str) -> SourceRow | None:
        """The row, or None if the source has none. Raises SourceUnavailable, after the time limit at the latest."""
        path = self._template._replace(scheme="", netloc="").geturl().replace("{key}", quote(key, safe=""))
        connection = self._connection()
        # The client's own limit holds for each piece: a source that sends one byte at a time would never meet it.
        limit = threading.Timer(self._timeout_s, _cut, [connection])
        try:
            connection.connect()
            limit.start()
            connection.request("GET", path, headers=self._headers)
            return self._read(connection.getresponse())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceUnavailable(f"the source did not answer: {error or type(error).__name__}") from error
        finally:
            limit.cancel()
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._template.hostname or "", self._template.port
        if self._template.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=context)
        return http.client.HTTPConnection(host, port, timeout=self._timeout_s)

    def _read(self, answer: http.client.HTTPResponse) -> SourceRow | None:
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise SourceUnavailable(f"the source answered {answer.status} {answer.reason}")
        payload = answer.read(self._row_bytes_max + 1)
        if len(payload) > self._row_bytes_max:
            raise SourceUnavailable(f"the source sent more than {self._row_bytes_max} bytes for one row")
        length = answer.getheader("Content-Length")
        if length is not None and len(payload) != int(length):
            raise SourceUnavailable(f"the source broke off after {len(payload)} of {length} bytes")
        version = answer.getheader(VERSION_HEADER)
        if version is None:
            raise SourceUnavailable(f"the source's answer lacks {VERSION_HEADER}, so nothing can be guarded by it")
        return SourceRow(payload, int(version), int(answer.getheader(TIMESTAMP_HEADER) or 0))


def _cut(connection: http.client.HTTPConnection) -> None:
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it has ended by itself
