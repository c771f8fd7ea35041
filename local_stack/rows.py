"""Rows of a file, for publishing: NDJSON or CSV, plain or gzip, byte for byte where the file is NDJSON."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from instrument_cache.contract import Contract
from instrument_cache.errors import InstrumentCacheError


def read_rows(
    path: Path, contract: Contract, progress: Callable[[int], None] = lambda position: None
) -> Iterator[bytes]:
    """Yield one row after the other; `progress` gets the position in the file, in bytes.

    Raises InstrumentCacheError if the file cannot be read or its ending is not .ndjson, .jsonl or .csv (and .gz).
    """
    name = path.name.removesuffix(".gz")
    if not name.endswith((".ndjson", ".jsonl", ".json", ".csv")):
        raise InstrumentCacheError(
            f"{path} has an unknown ending; it must be .ndjson, .jsonl or .csv, or these with .gz"
        )
    try:
        with path.open("rb") as raw:
            file: Any = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            rows = _csv_rows(file, contract) if name.endswith(".csv") else _lines(file)
            for row in rows:
                progress(raw.tell())
                yield row
    except FileNotFoundError:
        raise InstrumentCacheError(f"{path} does not exist; name a file of rows") from None
    except (OSError, EOFError) as error:
        raise InstrumentCacheError(f"{path} cannot be read to its end: {error}") from error


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    for line in file:
        row = line.rstrip(b"\r\n")
        if row:
            yield row


def _csv_rows(file: IO[bytes], contract: Contract) -> Iterator[bytes]:
    whole_numbers = {field.name for field in contract.fields if field.type is int}
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text)
    header = next(reader, [])
    for cells in reader:
        if cells:
            yield _csv_row(header, cells, whole_numbers)


def _csv_row(header: list[str], cells: list[str], whole_numbers: set[str]) -> bytes:
    """A JSON object; or, where it cannot be told whose a cell is or what it says, the line itself, to be rejected."""
    try:
        pairs = zip(header, cells, strict=True)
        return msgspec.json.encode({name: _cell(cell, name in whole_numbers) for name, cell in pairs})
    except (ValueError, UnicodeEncodeError):
        return ",".join(cells).replace("\n", " ").encode(errors="surrogateescape")


def _cell(cell: str, whole_number: bool) -> str | int | None:
    if cell == "":
        return None
    return int(cell) if whole_number and cell.isascii() and cell.isdecimal() else cell
