"""What a quality rule expects of a number: `{"mustBeLessThan": 5}` → an interval that numbers are held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Bounds:
    """The numbers from `low` to `high`; an open end is not one of them. `inverted`: all others instead."""

    low: float = -inf
    high: float = inf
    low_open: bool = False
    high_open: bool = False
    inverted: bool = False

    @property
    def is_empty(self) -> bool:
        """True if no number can hold."""
        if self.inverted:
            return self.low == -inf and self.high == inf
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))

    def holds(self, value: float) -> bool:
        """Whether a number is as it is expected to be."""
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return (above and below) != self.inverted

    def within(self, other: Bounds) -> Bounds:
        """What both allow. Only for two that are not inverted."""
        low, low_open = max((self.low, self.low_open), (other.low, other.low_open))
        high, closed = min((self.high, not self.high_open), (other.high, not other.high_open))
        return Bounds(low, high, low_open, not closed)


_MAKERS: Final[Mapping[str, Callable[[Any], Bounds]]] = {
    "mustBe": lambda bound: Bounds(bound, bound),
    "mustNotBe": lambda bound: Bounds(bound, bound, inverted=True),
    "mustBeGreaterThan": lambda bound: Bounds(low=bound, low_open=True),
    "mustBeGreaterOrEqualTo": lambda bound: Bounds(low=bound),
    "mustBeLessThan": lambda bound: Bounds(high=bound, high_open=True),
    "mustBeLessOrEqualTo": lambda bound: Bounds(high=bound),
    "mustBeBetween": lambda pair: Bounds(pair[0], pair[1]),
    "mustNotBeBetween": lambda pair: Bounds(pair[0], pair[1], inverted=True),
}
OPERATORS: Final = tuple(_MAKERS)
PAIRS: Final = ("mustBeBetween", "mustNotBeBetween")


def bounds(expects: Mapping[str, Any]) -> Bounds:
    """Of a rule that expects one thing of a number; without any, every number holds."""
    for operator, bound in expects.items():
        return _MAKERS[operator](bound)
    return Bounds()
