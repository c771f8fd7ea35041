"""Ages and numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def age_s(moment: str, now: datetime) -> float:
    """Seconds since a moment (ISO 8601; UTC if it names no zone). Raises ValueError if it is none."""
    found = datetime.fromisoformat(moment)
    return (now - (found if found.tzinfo else found.replace(tzinfo=UTC))).total_seconds()


def span_text(seconds: float) -> str:
    """`43 s`, `12 min`, `5 h`, `9 days`."""
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.0f} days"


def number_text(number: float) -> str:
    """`1,234`, `0.25`."""
    return f"{number:,.0f}" if number == int(number) else f"{number:,.4g}"


def milliseconds_text(milliseconds: float | None) -> str:
    """The upper edge of a bucket: `≤ 50 ms`, `> 5 min`; `none yet` of None."""
    if milliseconds is None:
        return "none yet"
    return "> 5 min" if milliseconds == float("inf") else f"≤ {milliseconds:,.0f} ms"
