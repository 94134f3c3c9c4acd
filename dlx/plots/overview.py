"""A run on one page: what came of it, its curves, what it gets right and wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlx.plots import style
from dlx.plots.classification import CONFUSION, MISTAKES, counts_of, distributions, matrix, mistake, surest, verdict
from dlx.plots.curves import draw_panel, explained, judging
from dlx.plots.history import Setting
from dlx.plots.regression import against_repeating, forecast_into, histogram, pairs_of, scatter, series_of
from dlx.plots.style import look, number, styled
from dlx.plots.subject import Subject

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SURE = 6  # mistakes on the page
TOP, BELOW = 2.2, 2.9  # inches of the two rows
Ends = list[tuple[Any, style.Names]]  # panels, and what stands at the ends of their lines


@styled
def overview(subject: Subject) -> Figure:
    """The loss and the figure that counts over the epochs; below them what fits the task, of held-out examples.

    Of classes it is the confusion, beside the six surest mistakes, or, of two classes, beside how sure the network is;
    of values the prediction against the truth, beside how far it is off; of a series the forecast.
    """
    lower = {"classification": _classes, "regression": _values}.get(subject.dataset.task)
    if lower is _classes and subject.held_out[1].targets.ndim > 1:
        lower = None
    tall = [*([TOP] if subject.curve.rows else []), *([BELOW] if lower is not None else [])] or [TOP]
    figure = style.blank(style.WIDTH, sum(tall) + 0.8)
    rows = figure.add_gridspec(len(tall), 1, height_ratios=tall)
    ends, words = _curves(figure, rows[0], subject) if subject.curve.rows else ([], [])
    said, more, notes = lower(figure, rows[len(tall) - 1], subject) if lower is not None else (subject.name, [], [])
    style.headline(figure, said)
    style.footer(figure, "; ".join([*notes, *words]))
    for panel, names in [*ends, *more]:
        style.end_labels(panel, names, height=TOP - 0.7)
    return figure


def _curves(figure: Figure, cell: Any, subject: Subject) -> tuple[Ends, list[str]]:
    """The loss and what the run is judged by; returns what stands at the lines' ends, and what the marks mean."""
    settings = [Setting(subject.name, [subject.curve])]
    figures = list(dict.fromkeys(["loss", judging(settings)]))
    grid = cell.subgridspec(1, len(figures))
    ends: Ends = []
    guessed = False
    for place, name in enumerate(figures):
        panel = figure.add_subplot(grid[place])
        names, dotted = draw_panel(panel, name, settings, [look().validation])
        ends.append((panel, names))
        guessed = guessed or dotted
    return ends, [*explained(settings, figures, "epoch"), *(["dotted: guessing"] if guessed else [])]


def _classes(figure: Figure, cell: Any, subject: Subject) -> tuple[str, Ends, list[str]]:
    """The confusion, beside mistakes or probabilities; returns the headline, no ends, what the colours mean."""
    name, split = subject.held_out
    counts, shape = counts_of(subject), subject.dataset.shape
    grid = cell.subgridspec(1, 2)
    if len(subject.classes) <= 200:
        matrix(figure.add_subplot(grid[0]), counts, subject.classes, small=True)
    notes = [f"{name}, n={len(split):,}", f"confusion: {CONFUSION.partition('; beside')[0]}"]
    if len(shape) == 3 and shape[-1] in (1, 3):
        images, captions, wrong = surest(subject, SURE)
        sheet = grid[1].subgridspec(2, 3)
        for place in range(len(images)):
            mistake(figure.add_subplot(sheet[place]), images[place], captions[place], most=20)
        notes.append(
            f"right: its {len(images)} surest of {wrong:,} mistakes, {MISTAKES}" if wrong else "it made no mistake"
        )
    elif len(subject.classes) == 2:
        probable = subject.predictions[:, 1]
        distributions(figure.add_subplot(grid[1]), probable, split.targets == 1, subject.classes)
    return verdict(counts, subject.classes, subject.name, name), [], notes


def _values(figure: Figure, cell: Any, subject: Subject) -> tuple[str, Ends, list[str]]:
    """Prediction against truth, or a forecast; returns the headline, what stands at the lines' ends, the examples."""
    if (found := series_of(subject)) is not None:
        rows, lines, words = found
        ax = figure.add_subplot(cell)
        ends = forecast_into(ax, rows, lines, words[1])
        return f"{subject.name}: {against_repeating(lines, words)}", [(ax, ends)], [words[2]]
    name, split = subject.held_out
    grid, pair = cell.subgridspec(1, 2), pairs_of(subject)[0]
    scatter(figure.add_subplot(grid[0]), pair, split.index)
    histogram(figure.add_subplot(grid[1]), pair)
    off = float(abs(pair[2] - pair[1]).mean())
    return f"{subject.name}: {pair[0]} is off by {number(off)} (mae) on {name}", [], [f"{name}, n={len(split):,}"]
