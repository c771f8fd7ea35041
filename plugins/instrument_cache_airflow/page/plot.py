"""A number over the last runs as a small SVG, without script or library, with a sentence for who does not see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from instrument_cache.overview.model import Plot, Point
from instrument_cache.overview.words import number_text

WIDTH: Final = 320
HEIGHT: Final = 64
_EDGE: Final = 8
_DOT: Final = 3.5


class _Scale(NamedTuple):
    """From a number to the height at which it is drawn."""

    low: float
    high: float

    def y(self, value: float) -> float:
        return round(HEIGHT - _EDGE - (HEIGHT - 2 * _EDGE) * (value - self.low) / (self.high - self.low), 1)


def svg(plot: Plot) -> Markup:
    """The line with a dot per run, a square where the run was not good, and its limit if it has one."""
    scale = _scale(plot)
    spots = [(_x(at, len(plot.points)), scale.y(point.value)) for at, point in enumerate(plot.points)]
    line = Markup(" ").join(Markup("{},{}").format(x, y) for x, y in spots)
    marks = Markup("").join(_mark(x, y, point.ok) for (x, y), point in zip(spots, plot.points, strict=True))
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}<polyline points="{}"/>{}</svg>').format(
        WIDTH, HEIGHT, summary(plot), _limit(plot, scale), line, marks
    )


def summary(plot: Plot) -> str:
    """What the picture shows, in one sentence."""
    values = [point.value for point in plot.points]
    missed = sum(not point.ok for point in plot.points)
    text = (
        f"{plot.title}: the last of {len(values)} runs {number_text(values[-1])} {plot.unit}, "
        f"lowest {number_text(min(values))}, highest {number_text(max(values))}"
    )
    text += f", target {number_text(plot.limit)}" if plot.limit is not None else ""
    return f"{text}; {missed} not good." if missed else f"{text}."


def _scale(plot: Plot) -> _Scale:
    """From 0, so that a small change does not look large; a flat line at 0 still has a height."""
    values = [point.value for point in plot.points]
    low = min(0.0, *values)
    return _Scale(low, max(*values, plot.limit or 0.0, low + 1e-9))


def _x(at: int, count: int) -> float:
    return round(_EDGE + (WIDTH - 2 * _EDGE) * at / max(count - 1, 1), 1)


def _mark(x: float, y: float, ok: bool) -> Markup:
    if ok:
        return Markup('<circle cx="{}" cy="{}" r="{}"/>').format(x, y, _DOT)
    return Markup('<rect class="missed" x="{}" y="{}" width="{}" height="{}"/>').format(
        round(x - _DOT - 1, 1), round(y - _DOT - 1, 1), 2 * _DOT + 2, 2 * _DOT + 2
    )


def _limit(plot: Plot, scale: _Scale) -> Markup:
    if plot.limit is None:
        return Markup("")
    y = scale.y(plot.limit)
    return Markup('<line class="limit" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_EDGE, WIDTH - _EDGE, y, y)


def rows(points: Sequence[Point]) -> list[tuple[str, str, str]]:
    """When, how much and whether it was good, the newest first."""
    return [
        (point.at[:16].replace("T", " "), number_text(point.value), "good" if point.ok else "not good")
        for point in reversed(points)
    ]
