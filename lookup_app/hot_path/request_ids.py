"""Ids of requests, at the price of counting: random for the process, then a number."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from itertools import count
from secrets import token_hex
from typing import Any, Final

# A caller's id goes into a header and into the log as it is (as in `lookup_app.hooks`).
_USABLE: Final = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII).fullmatch


class RequestIds:
    """32 hexadecimal digits each. A worker that was forked has a beginning of its own."""

    def __init__(self) -> None:
        self._renew()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._beginning = token_hex(8)
        self._numbers = count(1)

    def of(self, environ: Mapping[str, Any]) -> str:
        """The caller's id if it gave one that can be used, else the next one."""
        given = environ.get("HTTP_X_REQUEST_ID")
        if given is not None and _USABLE(given):
            return str(given)
        return f"{self._beginning}{next(self._numbers):016x}"
