"""Learning curves of one run, or of several."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dlx.plots.style import DASHES, PALETTE, blank, legend, literal, plain_ticks, styled
from dlx.plots.subject import Subject
from dlx.runs.metrics import is_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

X = Literal["epoch", "step", "seconds"]
POINTS = 1000  # of a curve: more would draw one over the other


# Learning curves


@dataclass(frozen=True)
class Curve:
    """A run's rows of figures, an epoch each, those of `log_every`, and the epoch whose weights were kept."""

    label: str
    rows: Sequence[Mapping[str, Any]]
    best_epoch: int | None = None
    logged: Sequence[Mapping[str, Any]] = ()

    def places(self, x: X) -> list[float]:
        """Where each row stands: its epoch, its step, or the seconds of training up to it."""
        if x == "seconds":
            taken = (row.get("seconds") for row in self.rows)
            return list(itertools.accumulate(_as_float(value, 0.0) for value in taken))
        return [_as_float(row.get(x), math.nan) for row in self.rows]


@styled
def draw_curves(runs: Sequence[Curve], title: str = "", x: X = "epoch") -> Figure:
    """A panel for the loss and for each metric over the epochs: train against validation, the best epoch marked.

    x: what they are drawn over; over the steps, train figures are those of `log_every` where a run has them. One run
    has a colour a split; several have a colour a run, solid for validation and dotted for train.
    """
    from matplotlib.lines import Line2D

    figures = _curve_names(runs)
    alone = len(runs) == 1
    labels = 0 if alone else len(runs)
    figure = blank(3.6 * max(len(figures), 1) + (0.4 if len(figures) == 1 else 0), 2.9 + 0.17 * labels)
    panels = figure.subplots(1, max(len(figures), 1), squeeze=False)[0]
    ends = [run.places(x)[-1] for run in runs if run.rows] or [1.0]
    for panel, name in zip(panels, figures, strict=False):
        for number, run in enumerate(runs):
            _curve(panel, name, (run, x), number, alone)
        panel.set_ylabel(_unit(name, labels="exact_match" in figures))
        panel.grid(True, axis="y")
        panel.set_axisbelow(True)
        _axis(panel, x, ends)
        _scale(panel, name)
    handles: list[Any] = []
    if alone:
        splits = {split for name in figures for split in ("train", "val") if _values(runs[0], f"{split}_{name}")[0]}
        dots = (0, (1, 1)) if "val" in splits else "-"
        handles += [Line2D([], [], color=PALETTE[0], ls=dots, label="train")] if "train" in splits else []
        handles += [Line2D([], [], color=PALETTE[1], label="validation")] if "val" in splits else []
    else:
        validated = any(_values(run, f"val_{name}")[0] for run in runs for name in figures)
        for number, run in enumerate(runs):
            colour, dash = PALETTE[number % len(PALETTE)], DASHES[number // len(PALETTE) % len(DASHES)]
            handles.append(Line2D([], [], color=colour, ls=dash, label=literal(run.label)))
        if validated:
            handles.append(Line2D([], [], color="#777777", label="validation (solid)"))
            handles.append(Line2D([], [], color="#777777", ls=(0, (1, 1)), label="train (dotted)"))
    if any(run.best_epoch for run in runs):
        best = f"best epoch, {runs[0].best_epoch}" if alone else "best epoch"
        handles.append(Line2D([], [], color="#333333", marker="o", ls="", mfc="white", label=best))
    legend(figure, handles, most=len(handles) if alone else 3)
    if title:
        figure.suptitle(literal(title), fontsize=10)
    return figure


def _curve_names(runs: Sequence[Curve]) -> list[str]:
    keys = dict.fromkeys(key for run in runs for row in run.rows[:1] for key in row)
    names = dict.fromkeys(key.partition("_")[2] for key in keys if key.startswith(("train_", "val_")))
    if len(runs) == 1 and not _penalty_shows(runs[0]):
        names.pop("data_loss", None)
    return sorted(names, key=lambda name: name != "loss")


def _penalty_shows(run: Curve) -> bool:
    """Whether the loss of a run is anywhere a tenth more than that of its data."""
    pairs: list[tuple[Any, Any]] = [(row.get("train_loss"), row.get("train_data_loss")) for row in run.rows]
    return any(is_number(loss) and is_number(data) and loss > 1.1 * data for loss, data in pairs)


def _unit(name: str, labels: bool) -> str:
    units = {
        "loss": "loss (mean per example)",
        "data_loss": "loss without penalties",
        "accuracy": f"accuracy (share of {'labels' if labels else 'examples'})",
        "exact_match": "exact match (share of examples)",
        "mae": "mae (target's unit)",
        "mse": "mse (target's unit²)",
    }
    return units.get(name, name)


def _values(run: Curve, key: str, x: X = "epoch") -> tuple[list[float], list[float]]:
    """(places, values) of a figure, as far as there are any."""
    steps = [row for row in run.logged if is_number(row.get("step"))]
    logged = [(float(row["step"]), row.get(key)) for row in steps] if x == "step" else []
    if not any(isinstance(value, (int, float)) for _, value in logged):  # they have train figures alone
        # Without penalties the loss is that of the data.
        name = key if any(key in row for row in run.rows) else key.replace("data_loss", "loss")
        logged = list(zip(run.places(x), [row.get(name) for row in run.rows], strict=True))
    points = [(place, float(value)) for place, value in logged if isinstance(value, (int, float))]
    if len(points) > POINTS:  # as dense at the beginning as the axis is: evenly in the logarithm, and at the end
        picked = {round(len(points) ** (n / POINTS)) - 1 for n in range(POINTS + 1)}
        points = [points[place] for place in sorted(picked) if 0 <= place < len(points)]
    return [place for place, _ in points], [value for _, value in points]


def _curve(panel: Any, name: str, drawn: tuple[Curve, X], number: int, alone: bool) -> None:
    run, x = drawn
    colour = PALETTE[number % len(PALETTE)]
    dash = DASHES[number // len(PALETTE) % len(DASHES)]
    for split, solid in (("train", not _values(run, f"val_{name}")[0]), ("val", True)):
        places, values = _values(run, f"{split}_{name}", x)
        if not values:
            continue
        shade = PALETTE[split == "val"] if alone else colour
        panel.plot(places, values, color=shade, ls=dash if solid else (0, (1, 1)), zorder=3 if solid else 2,
                   marker="." if len(values) == 1 else None)  # fmt: skip
    marked = "val" if _values(run, f"val_{name}")[0] else "train"
    of_steps = x == "step" and marked == "train" and run.logged  # a mean of the epoch lies beside that line
    best = [
        (place, row[f"{marked}_{name}"])
        for place, row in zip(run.places(x), run.rows, strict=True)
        if row.get("epoch") == run.best_epoch and is_number(row.get(f"{marked}_{name}")) and not of_steps
    ]
    if best:
        panel.plot([best[0][0]], [best[0][1]], "o", color="#333333" if alone else colour,
                   mfc="white", ms=5, zorder=4, clip_on=False)  # fmt: skip


def _as_float(value: Any, other: float) -> float:
    return float(value) if is_number(value) else other


def _scale(panel: Any, name: str) -> None:
    """A loss that falls by powers of ten is read on a logarithmic axis."""
    values = [v for line in panel.lines for v in line.get_ydata() if is_number(float(v)) and v > 0]
    if name == "loss" and values and max(values) / min(values) > 30:
        panel.set_yscale("log")
        plain_ticks(panel.yaxis, (1.0, 2.0, 5.0) if max(values) / min(values) < 2000 else (1.0,))


def _axis(panel: Any, x: X, ends: Sequence[float]) -> None:
    """The axis of epochs, steps or seconds; logarithmic where it is long, or runs of it are of unlike lengths."""
    if x != "epoch":
        panel.set_xlabel("step" if x == "step" else "seconds of training")
        if max(ends) > 8 * min(ends) > 0:
            panel.set_xscale("log")
            plain_ticks(panel.xaxis, (1.0,))
            panel.set_xlabel(f"{panel.get_xlabel()} (logarithmic)")
        return
    last = max(ends)
    if last < 1000:
        panel.set_xlim(1 if last > 1 else 0.5, max(last, 1.5))
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.set_xlabel("epoch")
    else:
        panel.set_xscale("log")
        panel.set_xlim(1, last)
        plain_ticks(panel.xaxis, (1.0,))
        panel.set_xlabel("epoch (logarithmic)")


def curves(subject: Subject) -> Figure:
    """Train against validation, over the epochs."""
    return draw_curves([Curve(subject.name, subject.history, subject.best_epoch)], subject.name)
