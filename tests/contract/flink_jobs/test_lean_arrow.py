"""PyFlink's own coder, in Flink's environment: what a worker reads in place is what PyFlink would have read."""

from __future__ import annotations

import subprocess

from local_stack.instance import Instance

_BATCHES = """
import pyarrow as pa
from pyflink.fn_execution import coder_impl_fast
from pyflink.fn_execution.ResettableIO import ResettableIO

SCHEMA = pa.schema([("v", pa.binary()), ("p", pa.int32()), ("o", pa.int64())])
ROWS = [([b"abc", None, b"", b"abc", bytes(range(256)) * 40], [0, 1, 1, 0, 7], [5, 6, 7, 8, 2**40]), ([b"x"], [3], [9])]
copied = []

class Stream(ResettableIO):
    def readinto(self, room):
        copied.append(len(room))
        return super().readinto(room)

def message(rows):
    written = pa.BufferOutputStream()
    columns = [pa.array(column, kind) for column, kind in zip(rows, SCHEMA.types)]
    pa.RecordBatchStreamWriter(written, SCHEMA).write_batch(pa.record_batch(columns, schema=SCHEMA))
    return written.getvalue().to_pybytes()

def read():
    stream = Stream()
    for rows in ROWS:
        stream.set_input_bytes(message(rows))
        reader = pa.ipc.open_stream(stream)
        yield coder_impl_fast.arrow_to_pandas("UTC", [None] * 3, [reader.read_next_batch()])

def plain(batches):
    return [[(column.dtype.name, column.tolist()) for column in batch] for batch in batches]

by_pyflink = plain(read())
assert max(copied) > 10_000, "PyFlink no longer copies what it reads: this can go"
from flink_jobs.lean_arrow import read_in_place
read_in_place()
copied.clear()
kept = list(read())
assert plain(kept) == by_pyflink == plain(read())
assert max(copied) <= 4, copied  # the lengths of messages
"""


def test_batches_are_read_in_place_and_alike() -> None:
    python = str(Instance.from_environment().flink_python)
    done = subprocess.run([python, "-c", _BATCHES], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
