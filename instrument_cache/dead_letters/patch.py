"""A JSON patch (RFC 6902) on a rejected record, for what the source cannot mend in time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from jsonpatch import JsonPatch, JsonPatchException  # type: ignore[import-untyped]
from jsonpointer import JsonPointerException

from instrument_cache.errors import DeadLetterError

_EXAMPLE = '[{"op":"replace","path":"/record/cusip","value":"037833100"}]'
_WAY_OUT = f"a patch is a JSON list of operations such as {_EXAMPLE}"


class RecordPatch:
    """Operations on the whole change record: `/op`, `/version`, `/record/…`."""

    def __init__(self, operations: list[dict[str, Any]]) -> None:
        """Raises DeadLetterError for operations that are none."""
        if not isinstance(operations, list) or not operations:
            raise DeadLetterError(f"the patch holds no list of operations; {_WAY_OUT}")
        try:
            self._patch = JsonPatch(operations)
            _check_values(operations)
        except (JsonPatchException, JsonPointerException, TypeError, AttributeError) as error:
            raise DeadLetterError(f"the patch cannot be used: {error}; {_WAY_OUT}") from None
        self.operations = operations

    def apply(self, value: bytes) -> bytes:
        """The patched record. Raises DeadLetterError for a value that is not JSON and a patch that does not fit it."""
        try:
            document = json.loads(value, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise DeadLetterError(f"the record is not JSON, so that no patch can change it: {error}") from None
        try:
            return json.dumps(self._patch.apply(document), separators=(",", ":")).encode()
        except (JsonPatchException, JsonPointerException, TypeError, RecursionError) as error:
            raise DeadLetterError(f"the patch does not fit this record: {error}") from None


def load_patch(path: Path) -> RecordPatch:
    """Read a patch file. Raises DeadLetterError, which names the file."""
    try:
        return RecordPatch(json.loads(path.read_bytes()))
    except OSError as error:
        raise DeadLetterError(f"the patch {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DeadLetterError(f"the patch {path} is not JSON: {error}; {_WAY_OUT}") from None
    except DeadLetterError as error:
        raise DeadLetterError(f"{path}: {error}") from None


def _check_values(operations: list[dict[str, Any]]) -> None:
    """The library finds a missing value only once it needs it. Raises TypeError."""
    for operation in operations:
        if operation["op"] in ("add", "replace", "test") and "value" not in operation:
            raise TypeError(f"the operation {operation} has no value")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
