"""What curves are drawn of: the rows of a run, or of several runs that repeat one setting."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from dlx.plots.style import number
from dlx.runs.metrics import is_number, is_share, mean_text

X = Literal["epoch", "step", "seconds"]
SPLITS = {"train": "train", "val": "validation"}
LONG, BINS = 1000, 240  # rows from which on a line is a median in an envelope, and how many medians it then has


@dataclass(frozen=True, eq=False)
class Curve:
    """A run's rows of figures, an epoch each, those of `log_every`, and its best epoch.

    label: what tells the run from others; runs of one label repeat one setting. classes: how many there are to guess
    among, 0 where it predicts none; entropy: whether the loss is a cross-entropy, which guessing among C classes brings
    to ln C. unit: what a regression predicts. data: what it learned from; guess: the share of its most frequent class
    where it is judged. monitor: what chose the epoch. kept_epoch: whose weights the run has,
    where that is not the best one.
    """

    label: str
    rows: Sequence[Mapping[str, Any]]
    best_epoch: int | None = None
    logged: Sequence[Mapping[str, Any]] = ()
    classes: int = 0
    entropy: bool = False
    unit: str = ""
    data: str = ""
    guess: float = 0.0
    monitor: str = ""
    kept_epoch: int | None = None

    def places(self, x: X) -> list[float]:
        """Where each row stands: its epoch, its step, or the seconds of training up to it."""
        if x == "seconds":
            taken = (row.get("seconds") for row in self.rows)
            return list(itertools.accumulate(_as_float(value, 0.0) for value in taken))
        return [_as_float(row.get(x), math.nan) for row in self.rows]

    def kept(self, key: str) -> float | None:
        """The figure of the epoch whose weights were kept, or of the best one; of the last one where there is none."""
        last, epoch = self.rows[-1] if self.rows else {}, self.kept_epoch or self.best_epoch
        value = next((row for row in self.rows if row.get("epoch") == epoch), last).get(key)
        return float(value) if value is not None and is_number(value) else None


class Point(NamedTuple):
    """Where a figure stands, the figure, and between which it lies, where it stands for several."""

    place: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Setting:
    """Runs of one label."""

    label: str
    runs: Sequence[Curve]
    _points: dict[tuple[str, X], list[Point]] = field(default_factory=dict)  # panel, scale and names ask for the same

    @property
    def first(self) -> Curve:
        return self.runs[0]

    def judged(self, name: str) -> str:
        """The split that a figure is judged by: validation, where there is one."""
        return "val" if self.points(f"val_{name}") else "train"

    def points(self, key: str, x: X = "epoch") -> list[Point]:
        """A figure over the rows, as far as half of the runs have it; of many rows the medians."""
        if (key, x) not in self._points:
            self._points[key, x] = self._counted(key, x)
        return self._points[key, x]

    def _counted(self, key: str, x: X) -> list[Point]:
        together: dict[float, list[tuple[float, float]]] = {}
        for run in self.runs:
            for row, point in enumerate(points_of(run, key, x)):  # seconds are no run's own places
                together.setdefault(row if x == "seconds" else point[0], []).append(point)
        points = []
        for _, there in sorted(together.items()):
            if 2 * len(there) < len(self.runs):
                continue
            values = [value for _, value in there]
            place = math.fsum(place for place, _ in there) / len(there)
            points.append(Point(place, math.fsum(values) / len(values), min(values), max(values)))
        return points if len(points) < LONG else _medians(points, even=x != "epoch")

    def kept(self, name: str) -> list[float]:
        """A figure of the kept epoch of each run that has one."""
        split = self.judged(name)
        return [value for run in self.runs if (value := run.kept(f"{split}_{name}")) is not None]


def settings_of(runs: Sequence[Curve]) -> list[Setting]:
    """The runs by their labels, in the order of the first of each."""
    labels = dict.fromkeys(run.label for run in runs)
    return [Setting(label, [run for run in runs if run.label == label]) for label in labels]


def figure_words(name: str, values: Sequence[float]) -> str:
    """A figure with its name, or the mean of several and how far they differ."""
    if len(values) > 1:
        text = mean_text(name, statistics.fmean(values), statistics.stdev(values))
        return f"{text} {name}" if is_share(name) else f"{name} {text}"
    return f"{100 * values[0]:.1f} % {name}" if is_share(name) else f"{name} {number(values[0])}"


def best_of(labels: Sequence[str]) -> str:
    """What is best, equal ones by their names."""
    if len(labels) == 1:
        return f"{labels[0]} is best"
    return f"{labels[0]} and {labels[1]} are best" if len(labels) == 2 else f"{len(labels)} are equally good"


def unlike(settings: Sequence[Setting]) -> bool:
    """Whether the runs learned from unlike data, so that their figures say nothing of one another."""
    return len({run.data for setting in settings for run in setting.runs}) > 1


def points_of(run: Curve, key: str, x: X = "epoch") -> list[tuple[float, float]]:
    """(place, value) of a run's figure, as far as there are any."""
    steps = [row for row in run.logged if is_number(row.get("step"))]
    logged = [(float(row["step"]), row.get(key)) for row in steps] if x == "step" else []
    if not any(isinstance(value, (int, float)) for _, value in logged):  # they have train figures alone
        # Without penalties the loss is that of the data.
        name = key if any(key in row for row in run.rows) else key.replace("data_loss", "loss")
        logged = list(zip(run.places(x), [row.get(name) for row in run.rows], strict=True))
    return [(place, float(value)) for place, value in logged if isinstance(value, (int, float))]


def _medians(points: Sequence[Point], even: bool) -> list[Point]:
    """The median of each of BINS stretches, and between which it lies: even ones, or even in the logarithm."""
    count = len(points)
    ends = sorted({round(count * n / BINS if even else count ** (n / BINS)) for n in range(1, BINS + 1)})
    drawn = []
    for start, end in itertools.pairwise([0, *ends]):
        part = points[start:end]
        place = part[-1].place if end == count or len(part) < 3 else part[len(part) // 2].place
        value = statistics.median(point.value for point in part)
        drawn.append(Point(place, value, min(p.low for p in part), max(p.high for p in part)))
    return drawn


def _as_float(value: Any, other: float) -> float:
    return float(value) if is_number(value) else other
