"""Ranges: `16..512`, `log 1e-5..1e-1`, `0..0.6 step 0.1`, as a sweep writes them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(
    rf"(?P<log>log\s+)?(?P<low>{_NUMBER})\s*\.\.\s*(?P<high>{_NUMBER})(?:\s+step\s+(?P<step>{_NUMBER}))?"
)
_LIKE = re.compile(r"(log\s|[-+.]?\d).*\.\.")  # but for a path
_WHOLE = re.compile(r"[-+]?\d+")


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both among them; whole numbers where both ends are written as such.

    log: drawn so that each factor is as probable as another. step: only low, low + step, …
    """

    text: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not self.low <= value <= self.high:
            return False
        if self.whole and value != int(value):
            return False
        return self.step is None or math.isclose(round((value - self.low) / self.step) * self.step + self.low, value)

    def values(self) -> Sequence[float]:
        """All of its numbers; empty where they are not counted."""
        return [self.at(place) for place in range(self.count or 0)]

    @property
    def count(self) -> int | None:
        """How many numbers there are; None where they are not counted."""
        step = self.step or (1 if self.whole else None)
        return None if step is None else self._steps(step) + 1

    def at(self, place: int) -> float:
        """The number at a place, from 0, of those that are counted."""
        return self.number(self.low + place * (self.step or 1))

    def _steps(self, step: float) -> int:
        """How many steps lie between the ends."""
        return math.floor((self.high - self.low) / step + 1e-9)

    def between(self, share: float) -> float:
        """The number at a share of the way from `low` to `high`, 0..1."""
        low, high = self.low, self.high
        if self.whole and self.step is None:  # each whole number as probable as another
            low, high = low - 0.5, high + 0.5
        value = math.exp(math.log(low) + share * math.log(high / low)) if self.log else low + share * (high - low)
        if self.step is not None:
            value = self.low + min(round((value - self.low) / self.step), self._steps(self.step)) * self.step
        return min(max(value, self.low), self.high)

    def place(self, value: float) -> float:
        """The share of the way from `low` to `high` at which a number lies: what `between` takes."""
        low, high = self.low, self.high
        if self.whole and self.step is None:
            low, high = low - 0.5, high + 0.5
        place = math.log(value / low) / math.log(high / low) if self.log else (value - low) / (high - low)
        return min(max(place, 0.0), 1.0)

    def number(self, value: float) -> float:
        """The number as a spec has it: in six digits, where no step says more, and between the ends."""
        if self.whole:
            return round(value)
        digits = f"{value:.6g}" if self.step is None else f"{value:.12g}"
        return min(max(float(digits), self.low), self.high)


def parse_range(text: object) -> Range | None:
    """The range that a text is; None where it is none. Raises ValueError, saying what is wrong with its numbers."""
    match = _RANGE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        if isinstance(text, str) and _LIKE.match(text.strip()) and not re.search(r"[/\\,]", text):
            raise ValueError(f"{text} is no range")
        return None
    if "..." in str(text):
        raise ValueError(f"{text} has three dots; expected two between the ends")
    low, high = float(match["low"]), float(match["high"])
    step = float(match["step"]) if match["step"] else None
    numbers = (match["low"], match["high"], *([match["step"]] if match["step"] else []))
    whole = all(_WHOLE.fullmatch(number) for number in numbers)
    if not low < high:
        raise ValueError(f"the range {text} is empty; expected the smaller end first")
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError(f"the range {text} has an end that is no number")
    if match["log"] and low <= 0:
        raise ValueError(f"a log range begins above 0, got {match['low']}")
    if match["log"] and step is not None:
        raise ValueError("a log range has no step")
    if step is not None and not 0 < step <= high - low:
        raise ValueError(f"the step {match['step']} does not fit into {match['low']}..{match['high']}")
    return Range(str(text).strip(), low, high, bool(match["log"]), step, whole)
