"""JSON patches: what they change, and what they cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from instrument_cache.dead_letters.patch import RecordPatch, load_patch
from instrument_cache.errors import DeadLetterError
from tests.unit.dead_letters.letters import APPLE, put

REPLACE = [{"op": "replace", "path": "/record/cusip", "value": APPLE}]


def test_a_record_is_patched() -> None:
    patched = json.loads(RecordPatch(REPLACE).apply(put("wrong", name="Äpfel ✓ \ud800")))
    assert patched == json.loads(put(APPLE, name="Äpfel ✓ \ud800"))


def test_the_record_as_a_whole_can_be_replaced() -> None:
    assert RecordPatch([{"op": "replace", "path": "", "value": {"a": 1}}]).apply(b'"x"') == b'{"a":1}'


@pytest.mark.parametrize(
    "value",
    [b"{broken", b"", b"\xff", b'{"a":NaN}', b"\x00\x00\x00\x00\x01avro", b"[" * 200_000, b'{"a":Infinity}'],
)
def test_what_is_not_json_cannot_be_patched(value: bytes) -> None:
    with pytest.raises(DeadLetterError, match="not JSON"):
        RecordPatch(REPLACE).apply(value)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/record/cusip", "value": "other"},
        {"op": "remove", "path": "/record/none"},
        {"op": "replace", "path": "/record/none/deeper", "value": 1},
        {"op": "add", "path": "/version/x", "value": 1},
        {"op": "move", "from": "/nowhere", "path": "/record/cusip"},
    ],
)
def test_a_patch_that_does_not_fit_says_so(operation: dict[str, Any]) -> None:
    with pytest.raises(DeadLetterError, match="does not fit"):
        RecordPatch([operation]).apply(put(APPLE))


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b"[]",
        b"null",
        b"[1]",
        b'["x"]',
        b'[{"op":"replace"}]',
        b'[{"op":"melt","path":"/a"}]',
        b'[{"op":"remove","path":"no slash"}]',
        b'[{"path":"/a"}]',
        b'[{"op":"add","path":"/a"}]',
        b'[{"op":"add","path":5,"value":1}]',
        b"{broken",
        b"\xff",
        b"[" * 200_000,
    ],
)
def test_a_file_that_is_no_patch_is_refused_by_its_name(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "fix.json"
    path.write_bytes(text)
    with pytest.raises(DeadLetterError, match=r"fix\.json.*"):
        load_patch(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeadLetterError, match=r"gone\.json cannot be read: No such file"):
        load_patch(tmp_path / "gone.json")
