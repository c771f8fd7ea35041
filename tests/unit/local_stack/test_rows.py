"""Rows of files: NDJSON byte for byte, CSV as the contract's types, gzip, and files that cannot be read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from instrument_cache.contract import Contract
from instrument_cache.errors import InstrumentCacheError
from local_stack.rows import read_rows


def rows(path: Path, contract: Contract, content: bytes) -> list[bytes]:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return list(read_rows(path, contract))


@pytest.mark.parametrize("name", ["rows.ndjson", "rows.jsonl", "rows.ndjson.gz"])
def test_ndjson_is_taken_byte_for_byte(tmp_path: Path, contract: Contract, name: str) -> None:
    content = b'{"cusip": "037833100"}\r\n\n{broken \xff\n  [1]\n'
    assert rows(tmp_path / name, contract, content) == [b'{"cusip": "037833100"}', b"{broken \xff", b"  [1]"]


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_csv_cells_take_the_contracts_types(tmp_path: Path, contract: Contract, name: str) -> None:
    content = '\ufeffcusip,name,pme,last_updated\n037833100,"Apple, Inc.",,1763674000123456\n594918104,x,P-1,soon\n'
    found = [json.loads(row) for row in rows(tmp_path / name, contract, content.encode())]
    assert found == [
        {"cusip": "037833100", "name": "Apple, Inc.", "pme": None, "last_updated": 1763674000123456},
        {"cusip": "594918104", "name": "x", "pme": "P-1", "last_updated": "soon"},
    ]


def test_a_csv_row_with_the_wrong_number_of_cells_goes_on_to_be_rejected(tmp_path: Path, contract: Contract) -> None:
    found = rows(tmp_path / "rows.csv", contract, b"cusip,name\n037833100\n\n594918104,a,b\n")
    assert found == [b"037833100", b"594918104,a,b"]


def test_csv_bytes_that_are_not_utf8_go_on_to_be_rejected(tmp_path: Path, contract: Contract) -> None:
    (row,) = rows(tmp_path / "rows.csv", contract, b"cusip,name\n037833100,\xff\xfe\n")
    with pytest.raises(UnicodeDecodeError):
        row.decode()


def test_progress_reaches_the_size_of_the_file(tmp_path: Path, contract: Contract) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_bytes(b'{"a":1}\n' * 1000)
    seen: list[int] = []
    assert len(list(read_rows(path, contract, seen.append))) == 1000
    assert seen[-1] == path.stat().st_size
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.xlsx", b"", "unknown ending"),
        ("rows.ndjson.gz", b"this is not gzip", "cannot be read to its end"),
        ("cut.ndjson.gz", gzip.compress(b'{"a":1}\n' * 9999)[:-20], "cannot be read to its end"),
        ("missing.ndjson", None, "does not exist"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, contract: Contract, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InstrumentCacheError, match=words):
        list(read_rows(tmp_path / name, contract))
