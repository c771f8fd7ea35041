"""The entries of one dataset that are ready to send, by the id that callers write.

An id that is on the shelf need not be brought to its canonical form: it is one. For an entry is put here only under the
very id whose key in Redis it has, and canonical ids stay as they are (tests/unit/lookup_app/hot_path/test_shelf.py).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from lookup_app.batch import batch_body
from lookup_app.cache.near_cache import Entry, NearCache
from lookup_app.entries import Instrument

# Measured, as is ENTRY_BYTES (tests/unit/lookup_app/cache/test_memory.py).
_SHELF_BYTES: Final = 330
_READY_BYTES: Final = 700
_FRAME: Final = batch_body([], [])
_BEGINNING: Final = _FRAME[: _FRAME.index(b"[") + 1]
_END: Final = _FRAME[len(_BEGINNING) :]
_ITEM_END: Final = b"}"


Headers = tuple[tuple[str, str], ...]


class Ready(NamedTuple):
    """What is sent with an instrument, made once: all headers but the caller's own; `head` has them as HTTP does."""

    etag: str
    headers: Headers
    head: bytes = b""


class Shelf:
    """Of one dataset; `prefix` is that of its keys in Redis, with the colon."""

    def __init__(self, cache: NearCache, prefix: str) -> None:
        self._cache, self._prefix = cache, prefix
        self._entries = cache.shelf()
        self.get = self._entries.get

    def put(self, text: str, instrument: Instrument) -> Entry | None:
        """Keep ready for batches what was found under `text`, and return it.

        None if it is not in the cache under that very id, or is read for the first time: many are never read again.
        """
        entry = self._cache.entries.get(self._prefix + text)
        if entry is None or not entry.used or entry.value is not instrument.body:
            return None
        if entry.shelf is None:
            self._cache.shelve(entry, self._entries, text, _lead(text, instrument), _SHELF_BYTES + len(text))
        return entry

    def put_whole(self, text: str, instrument: Instrument, headers: Headers) -> None:
        """The same, and ready to be sent alone."""
        entry = self.put(text, instrument)
        if entry is not None and entry.answer is None:
            self._cache.prepare(entry, Ready(f'"{instrument.etag}"', headers, lines(headers)), _READY_BYTES)


def lines(headers: Headers) -> bytes:
    """Headers as they are sent, each with the end of its line."""
    return "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1")


def _lead(text: str, instrument: Instrument) -> bytes:
    """What stands before an instrument in a batch: the end of the item before it, a comma, and its own beginning."""
    body = batch_body([text], [instrument])
    return _ITEM_END + b"," + body[len(_BEGINNING) : -len(_END) - len(_ITEM_END) - len(instrument.body)]


def joined(entries: list[Entry]) -> bytes:
    """The body of a batch of these entries, in this order; there must be one at least."""
    parts: list[bytes] = [b""] * (2 * len(entries))
    parts[0::2] = [entry.lead for entry in entries]
    parts[1::2] = [entry.value for entry in entries]  # type: ignore[misc]
    parts[0] = _BEGINNING + parts[0][len(_ITEM_END) + 1 :]
    parts.append(_ITEM_END + _END)
    return b"".join(parts)
