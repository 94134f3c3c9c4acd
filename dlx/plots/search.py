"""The trials of a search: what each came to, what the best have in common, who comes from whom."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlx.plots import style
from dlx.plots.scales import share_scale
from dlx.plots.style import look, short, styled
from dlx.runs.history import Row
from dlx.runs.metrics import better, figure_text, is_figure, is_number, is_share, maximized, plain_name
from dlx.runs.run import Run
from dlx.runs.summary import read

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST, AXES, LINES = 4, 8, 300  # trials of a picture at least; settings and trials of the parallel one at most


@dataclass(frozen=True)
class Trial:
    """One trial: its number, what it chose, its figure, how it ended, the trials that it comes from, and its run."""

    number: int
    values: Mapping[str, Any]
    figure: float | None
    status: str
    parents: Sequence[int] = ()
    name: str = ""


def trials_of(runs: Sequence[Run]) -> tuple[str, list[Trial]]:
    """(the figure that the runs were steered by, their trials by number); of repeats the first, no confirmations."""
    found: dict[int, Trial] = {}
    monitors: dict[str, None] = {}
    for run in runs:
        entry = read(run.path)
        trial = entry.info.get("trial")
        if not isinstance(trial, dict) or trial.get("repeat") or trial.get("confirms"):
            continue
        if not isinstance(trial.get("number"), int) or not isinstance(trial.get("values"), dict):
            continue
        monitor = str(entry.info.get("monitor", "val_loss"))
        if isinstance(wanted := trial.get("objective"), str) and (wanted in entry.metrics or is_figure(wanted)):
            monitor = wanted
        monitors[monitor] = None
        value: Any = entry.metrics.get(monitor)
        if entry.status == "pruned":
            value = best_of(run.history(), monitor)
        values = {key: value for key, value in trial["values"].items() if isinstance(value, str) or _small(value)}
        parents = trial.get("parents")
        parents = [n for n in parents if isinstance(n, int)] if isinstance(parents, list) else []
        figure = float(value) if is_number(value) else None
        found[trial["number"]] = Trial(trial["number"], values, figure, entry.status, parents, run.name)
    return next(iter(monitors), "val_loss"), [found[number] for number in sorted(found)]


def _small(value: Any) -> bool:
    """Whether a value from a file is a number that an axis can have."""
    return isinstance(value, (int, float)) and abs(value) < 1e300


def best_of(rows: Sequence[Row], name: str) -> float | None:
    """The best figure of a history."""
    values = [float(row[name]) for row in rows if is_number(row.get(name))]
    return (max(values) if maximized(name) else min(values)) if values else None


def line_of(trial: Trial, trials: Sequence[Trial]) -> list[int]:
    """The trials that one comes from, the nearest first; a file may say that one comes from itself."""
    known, line = {one.number: one for one in trials}, [trial.number]
    while (before := next((n for n in trial.parents if n in known), None)) is not None and before not in line:
        trial = known[before]
        line.append(before)
    return line[1:]


@styled
def draw_trials(figure: str, trials: Sequence[Trial]) -> Figure:
    """What each trial came to, in the order in which they were drawn, and the best so far."""
    drawn = style.blank(style.WIDTH, 4.2)
    ax: Any = drawn.subplots()
    kinds = (("done", "o", look().train), ("pruned", "x", look().guess))
    for status, marker, colour in kinds:
        points = [(t.number, t.figure) for t in trials if t.status == status and t.figure is not None]
        if points:
            ax.plot(*zip(*points, strict=True), marker, ms=5, color=colour, mew=1.2, zorder=3, ls="")
    best, steps = None, list[tuple[int, float]]()
    for trial in trials:
        if trial.status == "done" and trial.figure is not None and better(figure, trial.figure, best):
            best = trial.figure
        if best is not None:
            steps.append((trial.number, best))
    if steps:
        ax.step(*zip(*steps, strict=True), where="post", color=look().validation, lw=1.6, zorder=2)
    _figure_axis(ax, figure, [t.figure for t in trials if t.figure is not None and t.status == "done"])
    ax.set_xlabel("trial")
    style.number_axis(ax.xaxis)
    ax.grid(True, axis="y")
    failed = sum(t.status == "failed" for t in trials)
    pruned = sum(t.status == "pruned" for t in trials)
    number = next((n for n, value in steps if best is not None and value == best), None)
    name = next((t.name or f"trial {t.number}" for t in trials if t.number == number), "")
    words = "No trial has ended with a finite figure"
    if best is not None:
        words = f"Best {plain_name(figure)} {figure_text(figure, best)}: {name}"
    style.headline(drawn, words)
    notes = [f"n={len(trials)} trials: a dot each, the line at the best so far"]
    notes += [f"{pruned} pruned (a cross at the best before)"] if pruned else []
    notes += [f"{failed} failed"] if failed else []
    style.footer(drawn, "; ".join(notes))
    return drawn


@styled
def draw_parallel(figure: str, trials: Sequence[Trial]) -> Figure:
    """Each trial a line through its settings to its figure; the best tenth stand out."""
    ended = [t for t in trials if t.status == "done" and t.figure is not None][-LINES:]
    names = list(dict.fromkeys(name for t in ended for name in t.values if name != "layers"))[: AXES - 1]
    ended.sort(key=lambda t: t.figure or 0.0, reverse=not maximized(figure))  # the best is drawn last
    scales = [_scale([t.values.get(name) for t in ended]) for name in names]
    figures = _scale([t.figure for t in ended])
    drawn = style.blank(style.WIDTH, 4.4)
    ax: Any = drawn.subplots()
    ax.axis("off")
    top = max(len(ended) // 10, 1)
    for place, trial in enumerate(ended):
        heights = [scale.of(trial.values.get(name)) for name, scale in zip(names, scales, strict=True)]
        line = [(x, math.nan if y is None else y) for x, y in enumerate([*heights, figures.of(trial.figure)])]
        good = place >= len(ended) - top
        colour = look().validation if good else look().guess
        width, strength = (1.6, 1.0) if good else (0.7, 0.6)
        ax.plot(*zip(*line, strict=True), color=colour, lw=width, alpha=strength, zorder=2 + good)
    for x, (name, scale) in enumerate(zip([*names, plain_name(figure)], [*scales, figures], strict=True)):
        ax.plot([x, x], [0, 1], color=look().secondary, lw=0.8, zorder=1)
        ax.text(x, 1.06 + 0.07 * (x % 2), short(name, 24), ha="center", va="bottom", fontsize=8)
        for y, text in scale.ticks:
            ax.text(x + 0.03, y, short(text, 14), ha="left", va="center", fontsize=7)
    ax.set_xlim(-0.2, len(names) + 0.4)
    ax.set_ylim(-0.05, 1.25)
    style.headline(drawn, "What the best trials have in common")
    style.footer(drawn, f"n={len(ended)} trials: a line each; the best {top} of {plain_name(figure)} stand out")
    return drawn


@dataclass(frozen=True)
class _Scale:
    """Where values stand on an axis, and what is written beside it."""

    places: Mapping[Any, float]
    ticks: Sequence[tuple[float, str]]

    def of(self, value: Any) -> float | None:
        """The place of a value; None where there is none."""
        return self.places.get(value)


def _scale(values: Sequence[Any]) -> _Scale:
    """Where each value stands on an axis from 0 to 1: numbers by size or by their logarithm, words in a row."""
    known = [value for value in dict.fromkeys(values) if value is not None]
    if not all(isinstance(value, (int, float)) for value in known) or len(known) < 2:
        words = sorted(map(str, known))
        place = {word: (n + 0.5) / max(len(words), 1) for n, word in enumerate(words)}
        return _Scale({value: place[str(value)] for value in known}, [(place[word], word) for word in words])
    low, high = min(known), max(known)
    log = low > 0 and high > 12 * low

    def share(value: float) -> float:
        return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)

    middle = math.sqrt(low * high) if log else (low + high) / 2
    return _Scale({value: share(value) for value in known}, [(share(v), f"{v:.3g}") for v in (low, middle, high)])


@styled
def draw_family(figure: str, trials: Sequence[Trial]) -> Figure:
    """Which trials come from which, in the order in which they were drawn; the line of the best stands out."""
    known = {t.number: t for t in trials}
    finite = [t for t in trials if t.figure is not None and t.status == "done"]
    best = (max if maximized(figure) else min)(finite, key=lambda t: t.figure or 0.0)
    line = {best.number, *line_of(best, trials)}
    drawn = style.blank(style.WIDTH, 4.6)
    ax: Any = drawn.subplots()
    for trial in finite:
        for parent in trial.parents:
            origin = known.get(parent)
            if origin is not None and origin.figure is not None:
                own = trial.number in line and parent in line
                ax.plot([origin.number, trial.number], [origin.figure, trial.figure], lw=1.8 if own else 0.6,
                        color=look().validation if own else look().guess, zorder=1 + own)  # fmt: skip
    for own in (False, True):
        points = [(t.number, t.figure) for t in finite if (t.number in line) is own]
        if points:
            ax.plot(*zip(*points, strict=True), "o", ms=6 if own else 4, ls="",
                    color=look().validation if own else look().train, zorder=4)  # fmt: skip
    _figure_axis(ax, figure, [t.figure for t in finite if t.figure is not None])
    ax.set_xlabel("trial")
    style.number_axis(ax.xaxis)
    words = f"{plain_name(figure)} {figure_text(figure, best.figure or 0.0)}"
    whence = f"in {len(line) - 1} steps from trial {min(line)}" if len(line) > 1 else "drawn at random"
    style.headline(drawn, f"Best {words}: {best.name or f'trial {best.number}'}, {whence}")
    style.footer(drawn, f"n={len(finite)} trials: a dot each, a line to its parent; that of the best stands out")
    return drawn


def _figure_axis(ax: Any, figure: str, values: Sequence[float]) -> None:
    ax.set_title(plain_name(figure), loc="left", fontweight="bold")
    if is_share(figure):
        share_scale(ax, min(values, default=0.0))
    else:
        style.number_axis(ax.yaxis)


Drawn = dict[str, "Callable[[], Figure]"]


def pictures(runs: Sequence[Run]) -> Drawn:
    """The pictures of a search, by their names; those that fit."""
    figure, trials = trials_of(runs)
    if len(trials) < FEWEST:
        return {}
    ended = [t for t in trials if t.status == "done" and t.figure is not None]
    drawn: Drawn = {"trials": lambda: draw_trials(figure, trials)}
    if len(ended) >= FEWEST and any(len(t.values) > 1 for t in ended):
        drawn["parallel"] = lambda: draw_parallel(figure, trials)
    if len(ended) >= FEWEST and any(t.parents for t in ended):
        drawn["family"] = lambda: draw_family(figure, trials)
    return drawn
