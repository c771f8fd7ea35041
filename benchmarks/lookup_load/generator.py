"""The load generator: `open_loop.c`, compiled on first use, which costs a server beside it little."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from instrument_cache.errors import InstrumentCacheError

_SOURCE: Final = Path(__file__).with_name("open_loop.c")
_GRACE_S: Final = 30.0


class Load(msgspec.Struct, frozen=True):
    """What the generator saw. Latencies in microseconds from the moment at which a request was due.

    `broken` are requests without an answer: the connection was closed, or none came in ten seconds.
    """

    answers: int
    not_2xx: int
    broken: int
    seconds: float
    per_s: float
    answer_bytes: int
    p50_us: int
    p90_us: int
    p95_us: int
    p99_us: int
    p999_us: int
    max_us: int

    @property
    def errors(self) -> int:
        return self.not_2xx + self.broken


class Generator:
    """Compiled into `folder`. Raises InstrumentCacheError without a C compiler."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise InstrumentCacheError("there is no C compiler; `local_stack/setup/setup.sh bench` installs one")
        self._program = folder / "open_loop"
        command = [compiler, "-O2", "-o", str(self._program), str(_SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise InstrumentCacheError(f"{_SOURCE.name} was not compiled: {done.stderr.strip()[-300:]}")

    def run(
        self, port: int, requests: Sequence[bytes], *, connections: int, rate: float, seconds: float, warm_up_s: float
    ) -> Load:
        """Send `requests` in turn to 127.0.0.1:`port` at `rate` per second, 0 for as fast as answers come.

        Raises InstrumentCacheError if the server cannot be reached.
        """
        arguments = ["127.0.0.1", str(port), str(connections), str(rate), str(seconds), str(warm_up_s)]
        given = b"".join(b"%d\n%b" % (len(request), request) for request in requests)
        done = subprocess.run(
            [str(self._program), *arguments],
            input=given,
            capture_output=True,
            timeout=seconds + warm_up_s + _GRACE_S,
            check=False,
        )
        if done.returncode:
            raise InstrumentCacheError(f"the load generator failed: {done.stderr.decode().strip()[-300:]}")
        return msgspec.json.decode(done.stdout, type=Load)
