"""A time as people write it on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(click.ParamType[int]):
    """ISO 8601 (UTC unless it says otherwise), or how long ago: `90m`, `12h`, `7d`. Gives microseconds since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return (_parse(str(value)) - _EPOCH) // timedelta(microseconds=1)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time; write 2025-11-21T18:00 (UTC), or 90m, 12h, 7d for that long ago", param, ctx
            )


def _parse(text: str) -> datetime:
    if ago := _AGO.fullmatch(text):
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


MOMENT: Final = Moment()
