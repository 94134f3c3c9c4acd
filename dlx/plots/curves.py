"""Learning curves of one run, or of several."""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dlx.plots import style
from dlx.plots.style import PALETTE, look, short, styled
from dlx.plots.subject import Subject
from dlx.runs.metrics import is_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

X = Literal["epoch", "step", "seconds"]
POINTS = 1000  # of a curve: more would draw one over the other
TRAINS, NAMED = 3, 12  # runs of which train lines are drawn, and names stand at the lines' ends
SPLITS = {"train": "train", "val": "validation"}
SHARES = ("accuracy", "exact_match", "top_k", "precision", "recall", "f1")  # from 0 to 1


# Learning curves


@dataclass(frozen=True, eq=False)
class Curve:
    """A run's rows of figures, an epoch each, those of `log_every`, and the epoch whose weights were kept.

    classes: how many there are to guess among, 0 where it predicts none; entropy: whether the loss is a cross-entropy,
    which guessing among C classes brings to ln C. unit: what a regression predicts. monitor: what chose the epoch.
    """

    label: str
    rows: Sequence[Mapping[str, Any]]
    best_epoch: int | None = None
    logged: Sequence[Mapping[str, Any]] = ()
    classes: int = 0
    entropy: bool = False
    unit: str = ""
    monitor: str = ""

    def places(self, x: X) -> list[float]:
        """Where each row stands: its epoch, its step, or the seconds of training up to it."""
        if x == "seconds":
            taken = (row.get("seconds") for row in self.rows)
            return list(itertools.accumulate(_as_float(value, 0.0) for value in taken))
        return [_as_float(row.get(x), math.nan) for row in self.rows]


@styled
def draw_curves(runs: Sequence[Curve], title: str = "", x: X = "epoch") -> Figure:
    """A panel for the loss and for each metric over the epochs: train against validation, the best epoch ringed.

    x: what they are drawn over; over the steps, train figures are those of `log_every` where a run has them. One run
    has a colour a split; several have a colour a run, solid for validation, and of up to three the train lines, dashed.
    A run that diverged does not stretch the axis of others: an arrow says where it went.
    """
    figures = _curve_names(runs) or ["loss"]
    columns = min(len(figures), 2)
    lines = -(-len(figures) // columns)
    figure = style.blank(style.WIDTH if columns == 2 else 0.62 * style.WIDTH, 2.5 * lines + 0.75)
    panels = figure.subplots(lines, columns, squeeze=False).flat
    ends = [run.places(x)[-1] for run in runs if run.rows] or [1.0]
    colours = _colours(runs)
    labelled, guessed = [], False
    for panel, name in itertools.zip_longest(panels, figures):
        if name is None:
            panel.axis("off")
            continue
        panel.set_title(_unit(name, runs), loc="left", fontweight="bold")
        for run, colour in zip(runs, colours, strict=True):
            _curve(panel, name, (run, x), colour, runs)
        away = _scale(panel, name, runs)
        for run, colour in zip(runs, colours, strict=True):
            if run not in away:
                _ring(panel, name, (run, x), colour, len(runs) == 1)
        panel.grid(True, axis="y")
        panel.set_axisbelow(True)
        _axis(panel, x, ends)
        guessed = _guessing(panel, name, runs) or guessed
        labelled.append((panel, _names_at_the_end(name, runs, colours, x, away)))
    style.headline(figure, _answer(runs, title))
    style.footer(figure, "; ".join([*_explained(runs, figures, x), *(["dotted: guessing"] if guessed else [])]))
    for panel, names in labelled:
        style.end_labels(panel, names)
    return figure


def _colours(runs: Sequence[Curve]) -> list[str]:
    """A colour for each of several runs: a ramp where they differ in the size of one setting, else unlike ones."""
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    matched = [re.fullmatch(r"(.*?)(-?\d[\d.,]*(?:e-?\d+)?)", run.label) for run in runs]
    if len(runs) > 1 and all(matched) and len({m[1] for m in matched if m}) == 1:
        sizes = [float(m[2].replace(",", "")) for m in matched if m]
        order = sorted(set(sizes))
        ramp = style.RAMP if look() is style.LIGHT else style.RAMP_ON_DARK
        shades = LinearSegmentedColormap.from_list("ramp", ramp)
        return [to_hex(shades(order.index(size) / max(len(order) - 1, 1))) for size in sizes]
    return [PALETTE[number % len(PALETTE)] for number in range(len(runs))]


def _judged(run: Curve, name: str) -> str:
    """The split that a figure of a run is judged by: validation, where it has one."""
    return "val" if _values(run, f"val_{name}")[0] else "train"


def _shade(split: str) -> str:
    """The colour of a split, where a picture has one run."""
    return look().validation if split == "val" else look().train


def _answer(runs: Sequence[Curve], title: str) -> str:
    """What came of it, in a sentence: the headline."""
    names = _curve_names(runs)
    name = next((name for name in (*SHARES, "mae", "rmse") if name in names), "loss")
    best: list[tuple[float, Curve, str]] = []
    for run in runs:
        split = _judged(run, name)
        kept = next((row for row in run.rows if row.get("epoch") == run.best_epoch), run.rows[-1] if run.rows else {})
        if (value := _as_float(kept.get(f"{split}_{name}"), math.nan)) == value:
            best.append((value, run, SPLITS[split]))
    if not best:
        return title or f"{len(runs)} runs"
    if len(runs) == 1:
        value, run, split = best[0]
        of = f"epoch {run.best_epoch:,} of {len(run.rows):,}" if run.best_epoch else f"{len(run.rows):,} epochs"
        return f"{title + ': ' if title else ''}{_figure(name, value)} on {split}, {of}"
    value, run, split = (max if name in SHARES else min)(best, key=lambda one: one[0])
    return f"{run.label} is best: {_figure(name, value)} on {split}"


def _figure(name: str, value: float) -> str:
    return f"{100 * value:.1f} % {name}" if name in SHARES else f"{name} {style.number(value)}"


def _explained(runs: Sequence[Curve], figures: Sequence[str], x: X) -> list[str]:
    """What the marks mean."""
    words = ["solid: validation"] if any(_judged(run, name) == "val" for run in runs for name in figures) else []
    if words and len(runs) <= TRAINS:
        words.append("dashed: train, a mean over each epoch" if x != "step" else "dashed: train")
    if any(run.best_epoch for run in runs):
        monitor = runs[0].monitor if len({run.monitor for run in runs}) == 1 else ""
        words.append(f"ring: the epoch that was best{' by ' + monitor if monitor else ''}")
    return words


def _names_at_the_end(
    name: str, runs: Sequence[Curve], colours: Sequence[str], x: X, away: Sequence[Curve]
) -> list[tuple[float, str, str]]:
    """(height, text, colour) of what stands at the right of a panel."""
    entries: list[tuple[float, str, str]] = []
    for run, colour in zip(runs, colours, strict=True):
        split = _judged(run, name)
        values = _values(run, f"{split}_{name}", x)[1]
        if not values:
            continue
        if len(runs) > 1:
            text = f"↑ {short(run.label, 24)}" if run in away else short(run.label, 26)
            entries.append((math.inf if run in away else values[-1], text, colour))
            continue
        entries.append((values[-1], SPLITS[split], _shade(split)))
        if split == "val" and (train := _values(run, f"train_{name}", x)[1]):
            entries.append((train[-1], "train", _shade("train")))
    return entries if len(runs) <= NAMED else []


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


def _unit(name: str, runs: Sequence[Curve]) -> str:
    """The title of a panel."""
    target = next((run.unit for run in runs if run.unit), "the target")
    units = {
        "loss": "loss",
        "data_loss": "loss without penalties",
        "exact_match": "exact match",
        "mae": f"mae, in the unit of {target}",
        "rmse": f"rmse, in the unit of {target}",
        "mse": f"mse, in the unit of {target}, squared",
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


def _curve(panel: Any, name: str, drawn: tuple[Curve, X], colour: str, runs: Sequence[Curve]) -> None:
    run, x = drawn
    alone, validated = len(runs) == 1, _judged(run, name) == "val"
    dash = style.DASHES[runs.index(run) // len(PALETTE) % len(style.DASHES)]  # where colours come again
    for split, solid in (("train", not validated), ("val", True)):
        places, values = _values(run, f"{split}_{name}", x)
        if not values or (split == "train" and validated and len(runs) > TRAINS):
            continue
        shade = _shade(split) if alone else colour
        panel.plot(places, values, color=shade, ls=dash if solid else style.DASHED, lw=1.8 if solid else 1.2,
                   zorder=3 if solid else 2, marker="o" if len(values) == 1 else None, ms=4)  # fmt: skip


def _ring(panel: Any, name: str, drawn: tuple[Curve, X], colour: str, alone: bool) -> None:
    """The epoch whose weights were kept; of one run with its figure beside it."""
    run, x = drawn
    marked = _judged(run, name)
    of_steps = x == "step" and marked == "train" and run.logged  # a mean of the epoch lies beside that line
    best = [
        (place, row[f"{marked}_{name}"])
        for place, row in zip(run.places(x), run.rows, strict=True)
        if row.get("epoch") == run.best_epoch and is_number(row.get(f"{marked}_{name}")) and not of_steps
    ]
    if not best:
        return
    panel.plot(*[[value] for value in best[0]], "o", color=look().ink if alone else colour,
               mfc=look().background, ms=5.5, zorder=4, clip_on=False)  # fmt: skip
    if alone:
        value = best[0][1]
        text = f"{100 * value:.1f} %" if name in SHARES else style.number(value)
        panel.get_ylim()  # settles what the data asks for
        height = panel.transAxes.inverted().transform(panel.transData.transform(best[0]))[1]
        under = height > 0.15 and (name not in SHARES or height > 0.8)  # a loss is best where it is lowest
        panel.annotate(text, best[0], xytext=(0, -13 if under else 8), textcoords="offset points", ha="center",
                       fontsize=style.TICKS, color=look().ink, annotation_clip=False)  # fmt: skip


def _as_float(value: Any, other: float) -> float:
    return float(value) if is_number(value) else other


def _scale(panel: Any, name: str, runs: Sequence[Curve]) -> list[Curve]:
    """Give a panel the range of its values; returns the runs that went beyond it.

    Shares go from 0 to 100 %, or from where all are above 90 % in their last half, ten points at least. A loss that
    falls by powers of ten is read on a logarithmic axis.
    """
    if name in SHARES:
        low = 0.0
        halves = [v[len(v) // 2 :] for run in runs for s in ("train", "val") if (v := _values(run, f"{s}_{name}")[1])]
        if halves and (least := min(map(min, halves))) > 0.9:
            low = math.floor(20 * min(least, 0.9)) / 20
            panel.set_title(f"{panel.get_title('left')}, axis from {100 * low:g} %", loc="left", fontweight="bold")
        panel.set_ylim(low, 1.0)
        style.percent_axis(panel.yaxis)
        return []
    away = _diverged(name, runs)
    within = [run for run in runs if run not in away]
    values = [v for run in within for s in ("train", "val") for v in _values(run, f"{s}_{name}")[1]]
    positive = [v for v in values if v > 0]
    if name in ("loss", "data_loss") and positive and max(positive) / min(positive) > 30:
        panel.set_yscale("log")
        style.plain_ticks(panel.yaxis, (1.0, 2.0, 5.0) if max(positive) / min(positive) < 2000 else (1.0,))
    else:
        style.number_axis(panel.yaxis)
    if away and values:
        room = 0.05 * (max(values) - min(values) or 1.0)
        panel.set_ylim(
            min(positive) / 1.3 if panel.get_yscale() == "log" and positive else min(values) - room, max(values) + room
        )
    return away


def _diverged(name: str, runs: Sequence[Curve]) -> list[Curve]:
    """The runs, not all, whose figure ends ten times above the largest that most of the others have."""
    ends: dict[int, float] = {}
    for number, run in enumerate(runs):
        if values := _values(run, f"{_judged(run, name)}_{name}")[1]:
            ends[number] = max(values[len(values) // 2 :])
    usual = statistics.median_low(ends.values()) if len(ends) > 1 else math.inf
    return [runs[number] for number, end in ends.items() if end > 10 * usual > 0]


def _guessing(panel: Any, name: str, runs: Sequence[Curve]) -> bool:
    """A dotted line where guessing among the classes lies, within the panel's range; whether it is drawn."""
    counts = {run.classes for run in runs}
    if len(counts) != 1 or (count := counts.pop()) < 2:
        return False
    heights = {"accuracy": 1 / count, **({"loss": math.log(count)} if all(run.entropy for run in runs) else {})}
    low, high = panel.get_ylim()
    if name not in heights or not low < heights[name] < high:
        return False
    panel.axhline(heights[name], color=look().guess, ls=style.DOTTED, lw=1.2, zorder=1)
    return True


def _axis(panel: Any, x: X, ends: Sequence[float]) -> None:
    """The axis of epochs, steps or seconds; logarithmic where it is long, or runs of it are of unlike lengths."""
    if x != "epoch":
        panel.set_xlabel("step" if x == "step" else "seconds of training")
        if max(ends) > 8 * min(ends) > 0:
            panel.set_xscale("log")
            style.plain_ticks(panel.xaxis, (1.0,))
            panel.set_xlabel(f"{panel.get_xlabel()} (logarithmic)")
        return
    last = max(ends)
    if last < 1000:
        panel.set_xlim(1 if last > 1 else 0.5, max(last, 1.5))
        panel.xaxis.get_major_locator().set_params(integer=True)
        if last <= 1:
            panel.set_xticks([1])
        panel.set_xlabel("epoch")
    else:
        panel.set_xscale("log")
        panel.set_xlim(1, last)
        style.plain_ticks(panel.xaxis, (1.0,))
        panel.set_xlabel("epoch (logarithmic)")


def curves(subject: Subject) -> Figure:
    """Train against validation, over the epochs."""
    classes = len(subject.classes) if subject.dataset.task == "classification" else 0
    return draw_curves([Curve(subject.name, subject.history, subject.best_epoch, classes=classes)], subject.name)
