"""A difference in words: what a comparison says of two rows."""

from __future__ import annotations

from dataclasses import dataclass

from dlx.insight.significance import Finding
from dlx.runs.metrics import is_share, number_text, plain_name

HALF_A_POINT = 0.005


@dataclass(frozen=True)
class Statement:
    """A difference between two rows, a - b, as --json has it; `a`, `b`: their first runs, `n`: how many each has."""

    a: str
    b: str
    figure: str
    finding: Finding
    n: tuple[int, int]
    sentence: str

    def record(self) -> dict[str, object]:
        found = self.finding
        numbers = {"difference": found.difference, "low": found.low, "high": found.high, "p": found.p}
        pair = {"a": self.a, "b": self.b, "figure": self.figure}
        return {**pair, **numbers, "test": found.test, "n": list(self.n), "sentence": self.sentence}


def difference_text(figure: str, difference: float) -> str:
    """A difference with its sign: +0.28 points, −0.0142."""
    return f"{bound_text(figure, difference)} points" if is_share(figure) else bound_text(figure, difference)


def bound_text(figure: str, value: float) -> str:
    """The same without a unit."""
    text = f"{100 * abs(value):.2f}" if is_share(figure) else number_text(abs(value))
    return f"{'−' if value < 0 else '+'}{text}"


def amount_text(figure: str, apart: float) -> str:
    """A difference that is asked for: half a point, 2 points, 0.1 of mae."""
    if not is_share(figure):
        return f"{number_text(apart)} of {plain_name(figure)}"
    return "half a point" if apart == HALF_A_POINT else "a point" if apart == 0.01 else f"{100 * apart:.3g} points"
