"""Lets a worker read Arrow batches where they lie: PyFlink copies each twice and looks for equal values in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
from pyflink.fn_execution import coder_impl_fast
from pyflink.fn_execution.ResettableIO import ResettableIO


def read_in_place() -> None:
    """In this process, from the next batch on."""
    ResettableIO.read_buffer = _read_buffer
    coder_impl_fast.arrow_to_pandas = _columns


def _read_buffer(stream: Any, size: int) -> pa.Buffer:
    """Arrow asks a stream that has `read_buffer` for a part of its bytes instead of a copy of them."""
    begin = stream._input_offset
    stream._input_offset = min(begin + size, stream._size)
    return pa.py_buffer(memoryview(stream._input_bytes)[begin : stream._input_offset])


def _columns(_timezone: object, _types: object, batches: Sequence[pa.RecordBatch]) -> list[pd.Series]:
    """In place of `arrow_to_pandas`, for columns that are neither times nor rows."""
    return [column.to_pandas(deduplicate_objects=False) for column in batches[0].columns]
