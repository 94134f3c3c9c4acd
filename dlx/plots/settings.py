"""A figure against the settings that runs differ in: each run a dot."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlx.plots import style
from dlx.plots.history import SPLITS, best_of, figure_words
from dlx.plots.scales import share_scale
from dlx.plots.style import look, palette, short, styled
from dlx.runs.compare import figure_names, fold
from dlx.runs.diff import heading, settings_in
from dlx.runs.metrics import is_share, maximized, plain_name
from dlx.runs.run import Run
from dlx.runs.summary import read

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS, LINES = 4, 6  # settings that are drawn; values of a second setting that are told apart
Varied = tuple[str, Sequence[str]]  # a setting, and its value in each of the rows


@styled
def draw_settings(figure: str, varied: Sequence[Varied], values: Sequence[Sequence[float]], missing: int = 0) -> Figure:
    """A figure against each setting: a dot a run, a line through the means.

    figure: its name, as val_accuracy; varied: the settings, each with its value in each row; values: the figures of
    each row's runs, none where they have no finite one; missing: how many runs have none. With two settings the one of
    fewer values is a line a value.
    """
    lines = _told_apart(varied)
    panels = [varied[0 if varied[1] is lines else 1]] if lines is not None else varied[:PANELS]
    columns = min(len(panels), 2)
    tall = -(-len(panels) // columns)
    drawn = style.blank(style.WIDTH, 2.6 * tall + 0.7)
    axes = list(drawn.subplots(tall, columns, squeeze=False, sharey=True).flat)
    for ax in axes[len(panels) :]:
        ax.axis("off")
    for ax, (setting, cells) in zip(axes, panels, strict=False):
        ax.set_title(plain_name(figure), loc="left", fontweight="bold")
        places, ordered = _places(ax, setting, cells)
        names = _points(ax, (places, ordered), cells, values, lines)
        if is_share(figure):
            share_scale(ax, min((value for row in values for value in row), default=0.0))
        else:
            style.number_axis(ax.yaxis)
        ax.grid(True, axis="y")
        ax.set_axisbelow(True)
        ax.margins(x=0.06)
        style.end_labels(ax, names)
    style.headline(drawn, _answer(figure, varied, values))
    split = SPLITS.get(figure.removeprefix("last_").partition("_")[0], "test")
    runs = sum(map(len, values))
    words = [f"{split}, n={runs} runs: a dot a run, the line at the mean"]
    if missing:
        words.append(f"{missing} run{'s' * (missing > 1)} without a finite figure")
    if len(varied) > PANELS:
        words.append(f"{PANELS} of {len(varied)} settings")
    style.footer(drawn, "; ".join(words))
    return drawn


def _told_apart(varied: Sequence[Varied]) -> Varied | None:
    """Of two settings the one whose values are lines: that of fewer, where these are few."""
    if len(varied) != 2:
        return None
    fewest = min(varied, key=lambda one: (len(set(one[1])), one is not varied[1]))
    return fewest if len(set(fewest[1])) <= LINES else None


Places = tuple[Mapping[str, float], bool]  # where each value of a setting stands; whether that is an order


def _places(ax: Any, setting: str, cells: Sequence[str]) -> Places:
    """Where each value of a setting stands on the axis: numbers as they are or in their logarithm, words in a row."""
    name = short(setting, 36)
    ax.set_xlabel(name)
    try:
        numbers = {cell: float(cell) for cell in dict.fromkeys(cells)}
    except ValueError:
        order = list(dict.fromkeys(cells))
        most = max(6, 60 // len(order))
        ax.set_xticks(range(len(order)), [short(cell, most) for cell in order])
        ax.set_xlim(-0.5, len(order) - 0.5)
        return {cell: float(place) for place, cell in enumerate(order)}, False
    sizes = sorted(set(numbers.values()))
    if sizes[0] > 0 and sizes[-1] > 12 * sizes[0]:
        ax.set_xscale("log")
        style.plain_ticks(ax.xaxis, (1.0,))
        ax.set_xlabel(f"{name} (logarithmic)")
    if len(sizes) <= 8:
        ax.set_xticks(sizes, [f"{size:,g}" for size in sizes])
    return numbers, True


def _points(
    ax: Any, placed: Places, cells: Sequence[str], values: Sequence[Sequence[float]], lines: Varied | None
) -> style.Names:
    """Dots and lines into a panel; returns what stands at the lines' ends."""
    names: style.Names = []
    places, ordered = placed
    groups = list(dict.fromkeys(lines[1])) if lines is not None else [None]
    for number, group in enumerate(groups):
        found: dict[float, list[float]] = {}
        for row, (cell, row_values) in enumerate(zip(cells, values, strict=True)):
            if lines is None or lines[1][row] == group:
                found.setdefault(places[cell], []).extend(row_values)
        means = [(place, statistics.fmean(there)) for place, there in sorted(found.items()) if there]
        if not means:
            continue
        colour = palette()[number % len(palette())] if lines is not None else look().train
        for place, there in found.items():
            ax.plot([place] * len(there), there, style.MARKERS[number % len(style.MARKERS)], ms=5, mfc=colour,
                    mec=look().background, mew=0.6, zorder=3)  # fmt: skip
        if ordered:
            ax.plot(*zip(*means, strict=True), color=colour, lw=1.2, zorder=2)
        for place, mean in means if not ordered else ():
            ax.plot([place - 0.22, place + 0.22], [mean, mean], color=colour, lw=1.6, zorder=2)
        if lines is not None:
            names.append((means[-1][1], short(f"{lines[0]} {group}", 24), colour))
    return names


def _answer(figure: str, varied: Sequence[Varied], values: Sequence[Sequence[float]]) -> str:
    """Which row is best, in a sentence."""
    means = [(statistics.fmean(row), number) for number, row in enumerate(values) if row]
    if not means:
        return f"no run has a finite {figure}"
    top = (max if maximized(figure) else min)(mean for mean, _ in means)
    equal = [number for mean, number in means if mean == top]
    labels = [", ".join(f"{setting} {cells[number]}" for setting, cells in varied[:3]) for number in equal]
    row = values[equal[0]]
    split = SPLITS.get(figure.removeprefix("last_").partition("_")[0], "test")
    said = figure_words(plain_name(figure), row)
    return f"{best_of(labels)}: {said} on {split}{f' (n={len(row)})' if len(row) > 1 else ''}"


def settings(runs: Sequence[Run], least: int = 2) -> Callable[[], Figure] | None:
    """The picture of the runs' figure against what they differ in; None where they differ in nothing, have no figures,
    or are fewer than `least` settings.

    The figure is a share where there is one, else what chose the best epoch; of validation, or else of test.
    """
    rows = fold([read(run.path) for run in runs])
    columns = [column for column in settings_in(rows) if column.address not in ("backend", "device", "data")]
    known = figure_names(rows)
    by_split = ([name for name in known if name.startswith(split)] for split in ("val_", "test_", "train_"))
    names = next((found for found in by_split if found), [])
    if not columns or not names or len(rows) < least or len({row.first.data for row in rows}) > 1:
        return None
    monitors = [row.first.info.get("monitor") for row in rows]
    figure = next((name for name in [*filter(is_share, names), *monitors] if name in names), names[0])
    varied = [(heading(column), column.cells) for column in columns]
    values = [row.values(figure) for row in rows]
    missing = sum(len(row.entries) - len(found) for row, found in zip(rows, values, strict=True))
    return lambda: draw_settings(figure, varied, values, missing)
