"""Whether a training came out the same again: to the bit, within rounding, or from which epoch on it differs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dlx.errors import DlxError
from dlx.insight import kept
from dlx.runs.metrics import is_number
from dlx.runs.run import Run

ROUNDING = 1e-3  # relative: what other kernels and other sums of the same numbers come to in a training
# What of the conditions decides most, first.
CAUSES = ("settings", "code", "data", "train", "validation", "test", "backend", "device", "devices", "device_name",
          "threads", "processor", "tensorflow", "jax", "keras", "numpy", "arithmetic", "dlx")  # fmt: skip
NO_FIGURE = ("epoch", "step", "seconds")


@dataclass(frozen=True)
class Reproduced:
    """How alike two trainings are.

    epoch, figure, before, now: the first epoch that differs beyond rounding, else the first that differs at all, and
    the figure that differs most there. predictions: whether those kept are equal to the bit; None where one has none.
    """

    equal: Literal["bits", "rounding", "no"]
    epochs: int
    epoch: int | None = None
    figure: str = ""
    before: float | None = None
    now: float | None = None
    predictions: bool | None = None

    @property
    def sentence(self) -> str:
        if self.equal == "bits":
            more = ", and so are the predictions" if self.predictions else ""
            return f"equal to the bit: every figure of {self.epochs:,} epochs is the same{more}"
        pair = f"{self.figure} was {_text(self.before)}, is {_text(self.now)}"
        if self.equal == "rounding" and self.epoch is None:
            return f"equal within rounding: every figure of {self.epochs:,} epochs is the same, predictions are not"
        if self.equal == "rounding":
            words = f"equal within rounding: no figure of {self.epochs:,} epochs is off by a thousandth"
            return f"{words} ({pair} in epoch {self.epoch:,})"
        return f"differs from epoch {self.epoch:,} on: {pair}"


def _text(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def judge(before: Run, again: Run) -> Reproduced:
    """Hold the histories and predictions of two trainings of one spec against each other."""
    first, second = before.history(), again.history()
    same = _predictions(before, again)
    exact: tuple[int, str, float | None, float | None] | None = None
    for old, new in zip(first, second, strict=False):
        figure, gap = _largest(old, new)
        if gap > ROUNDING:
            return Reproduced("no", len(first), int(old["epoch"]), figure, old.get(figure), new.get(figure), same)
        if gap > 0 and exact is None:
            exact = (int(old["epoch"]), figure, old.get(figure), new.get(figure))
    if len(first) != len(second) and (before.metrics() is not None or len(first) > len(second)):
        epoch = min(len(first), len(second)) + 1
        return Reproduced("no", len(first), epoch, "the number of epochs", len(first), len(second), same)
    if exact is not None:
        return Reproduced("rounding", len(first), *exact, same)
    return Reproduced("rounding" if same is False else "bits", len(first), predictions=same)


def _largest(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, float]:
    """(the figure that differs most between two rows, by how much of its size)"""
    gaps = {key: _gap(old[key], new.get(key)) for key in old if key not in NO_FIGURE}
    name = max(gaps, key=gaps.__getitem__, default="")
    return name, gaps.get(name, 0.0)


def _gap(old: Any, new: Any) -> float:
    if not is_number(old) or not is_number(new):
        return 0.0 if old == new else math.inf
    size = max(abs(old), abs(new))
    return abs(old - new) / size if size else 0.0


def _predictions(before: Run, again: Run) -> bool | None:
    """Whether what both keep of their predictions is equal to the bit; None where one keeps none."""
    import numpy as np

    try:
        a, b = kept.predictions(before), kept.predictions(again)
    except DlxError:
        return None
    return kept.same_rows(a, b) and np.array_equal(a.prediction, b.prediction)


def ordered(differences: Sequence[str]) -> list[str]:
    """What differs of the conditions, the most likely cause first."""

    def place(line: str) -> int:
        name = line.split(" was ")[0]
        return CAUSES.index(name) if name in CAUSES else 0  # else a setting

    return sorted(differences, key=place)
