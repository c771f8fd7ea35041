"""One stack for all end-to-end tests, started with a file of good and bad rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.synthetic import synthetic_rows
from tests.stack import Stack, running_stack

VALID_ROWS = 2000
V = 1_763_674_000_123_456
# One line each of what must be rejected, with the reason that the dead letter must give.
INVALID: dict[bytes, str] = {
    b"{broken": "malformed_json",
    b'{"cusip":"037833101","name":"wrong check digit"}': "invalid_cusip",
    '{"cusip":"０37833100"}'.encode(): "invalid_cusip",  # noqa: RUF001
    b'{"name":"no key"}': "missing_key",
    b'{"cusip":37833100}': "invalid_record",
    b'{"cusip":"594918104","last_updated":12}': "invalid_version",
    b'{"cusip":"594918104","last_updated":"yesterday"}': "invalid_version",
    b'{"cusip":"594918104","last_updated":17636740001234567}': "invalid_version",
    b'["not","an","object"]': "invalid_record",
    b'{"cusip":"594918104","name":"\xff"}': "malformed_json",
    b'{"cusip":"88160R101","summary":"%b"}' % (b"x" * 2_000_000): "too_large",
}
VALID: list[bytes] = [
    *synthetic_rows(VALID_ROWS),
    json.dumps(
        {"cusip": "037833100", "name": "Apple Inc.", "pme": "PME-APPLE", "last_updated": V, "unknown": {}}
    ).encode(),
    '{"cusip":"023135106","name":"Amäzon ✓ \\u0041","isin":null}'.encode(),
]


@pytest.fixture(scope="package")
def data_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.ndjson"
    rows = [*VALID[:1000], *INVALID, *VALID[1000:]]
    path.write_bytes(b"\n".join(rows) + b"\n")
    return path


@pytest.fixture(scope="package")
def stack(data_file: Path) -> Iterator[Stack]:
    with running_stack() as running:
        running.up("--data", str(data_file))
        yield running
