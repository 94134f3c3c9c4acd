"""A regression: what was predicted against what is true, how far it is off, and a series with its forecast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlx.plots import style
from dlx.plots.style import DASHED, DOTTED, LEAST, blank, look, number, short, styled
from dlx.plots.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

MOST_TARGETS, WORST, MOST_POINTS = 4, 5, 4000
LAST = 200  # values of a series that are drawn
Pair = tuple[str, "np.ndarray", "np.ndarray", float]  # a target: name, true (n,), predicted (n,), the mean of train


@styled
def draw_residuals(pairs: Sequence[Pair], rows: np.ndarray, title: str = "", of: str = "") -> Figure:
    """For each target a scatter of its predictions against the truth, and a histogram of the differences.

    rows: (n,) row numbers of the examples, which the farthest off are named by. title: the subject's name; of: which
    examples they are.
    """
    import numpy as np

    stacked = 2 if style.panels_a_row() == 1 else 1
    figure = blank(style.width(), 3.1 * len(pairs) * stacked + 0.75)
    axes = figure.subplots(len(pairs) * stacked, 2 // stacked, squeeze=False).reshape(-1, 2)
    for pair, (left, right) in zip(pairs, axes, strict=True):
        scatter(left, pair, rows)
        histogram(right, pair)
    name, true, predicted, mean = pairs[0]
    off, of_mean = float(np.abs(predicted - true).mean()), float(np.abs(mean - true).mean())
    style.headline(figure, f"{title}: {name} is off by {number(off)} (mae); always the mean by {number(of_mean)}")
    words = f"{of}; " if of else ""
    style.footer(figure, f"{words}on the dotted line it is right; ringed: the {WORST} that are farthest off")
    return figure


def scatter(ax: Any, pair: Pair, rows: np.ndarray) -> None:
    """Points near the diagonal are right; the worst are ringed, with their rows."""
    import numpy as np

    name, true, predicted, _ = pair
    some = np.unique(np.linspace(0, len(true) - 1, MOST_POINTS).astype(int))
    low, high = float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))
    margin = 0.04 * (high - low or 1.0)
    ends = low - margin, high + margin
    named: list[tuple[float, float]] = []
    ax.plot(ends, ends, ls=DOTTED, lw=1.2, color=look().guess, zorder=1)
    ax.plot(true[some], predicted[some], "o", ms=3, alpha=0.6, mec="none", color=look().train, zorder=2)
    for place in np.argsort(-np.abs(predicted - true), kind="stable")[:WORST]:
        ax.plot(true[place], predicted[place], "o", ms=7, mfc="none", mec=look().validation, zorder=3)
        # Away from the diagonal, and within the panel.
        left = true[place] > low + 0.2 * (high - low) and (
            predicted[place] > true[place] or true[place] > high - 0.2 * (high - low)
        )
        spot = true[place], predicted[place]
        beside = sum(abs(spot[0] - x) + abs(spot[1] - y) < 0.05 * (high - low) for x, y in named)  # below their names
        named.append(spot)
        offset = (-6 if left else 6, -8 * beside)
        ax.annotate(
            f"row {rows[place]}", (true[place], predicted[place]), fontsize=LEAST, xytext=offset,
            textcoords="offset points", ha="right" if left else "left", va="center",
        )  # fmt: skip
    ax.set_xlim(ends)
    ax.set_ylim(ends)
    ax.set_aspect("equal")
    for axis in (ax.xaxis, ax.yaxis):
        style.number_axis(axis)
    ax.xaxis.get_major_locator().set_params(nbins=5)
    ax.set_xlabel(f"true {short(name, 24)}")
    ax.set_title(f"predicted {short(name, 24)}", loc="left", fontweight="bold")


def histogram(ax: Any, pair: Pair) -> None:
    """How far the predictions are off, beside how far the mean of the train split would be."""
    import numpy as np

    name, true, predicted, mean = pair
    off, of_mean = predicted - true, mean - true
    edges = np.histogram_bin_edges(np.concatenate([off, of_mean]), bins=30)
    ax.hist(of_mean, edges, color=look().guess, alpha=0.45)
    ax.hist(off, edges, color=look().train, alpha=0.8)
    ax.axvline(0, ymax=0.74, color=look().ink, lw=0.8)
    ax.set_ylim(top=1.35 * ax.get_ylim()[1])  # for what is written above
    for height, colour, words, values in (
        (0.97, look().train, "the network", off),
        (0.88, look().secondary, "the mean of train", of_mean),
    ):
        text = f"{words}: mae {number(float(np.abs(values).mean()))}"
        ax.text(0.02, height, text, transform=ax.transAxes, va="top", color=colour, fontsize=style.TICKS)
    style.number_axis(ax.xaxis)
    ax.xaxis.get_major_locator().set_params(nbins=5)
    ax.set_xlabel(f"predicted minus true {short(name, 20)}")
    ax.set_title("examples", loc="left", fontweight="bold")


def residuals(subject: Subject) -> Figure:
    """The predictions of the held-out examples against the truth, target by target."""
    import numpy as np

    name, split = subject.held_out
    pairs = pairs_of(subject)
    count = int(np.asarray(split.targets).reshape(len(split), -1).shape[1])
    more = f"; {len(pairs)} of {count} targets" if count > len(pairs) else ""
    return draw_residuals(pairs, np.asarray(split.index), subject.name, f"{name}, n={len(split):,}{more}")


def pairs_of(subject: Subject) -> list[Pair]:
    """The first targets of the held-out examples."""
    import numpy as np

    _, split = subject.held_out
    true = np.asarray(split.targets, np.float64).reshape(len(split), -1)
    predicted = np.asarray(subject.predictions, np.float64).reshape(len(split), -1)
    means = np.asarray(subject.splits.train.targets, np.float64).reshape(len(subject.splits.train), -1).mean(axis=0)
    encoding, several = subject.dataset.encoding, true.shape[1]
    names = list(encoding.labels) if encoding is not None and encoding.labels else []
    if len(names) == 1 and several > 1:  # a series: its next values
        names = [f"{names[0]}, {place + 1} ahead" for place in range(several)]
    if len(names) != several:
        names = ["value"] if several == 1 else [f"value {place}" for place in range(several)]
    predicted = np.nan_to_num(predicted, nan=np.nan, posinf=np.nan, neginf=np.nan)
    shown = [np.where(np.isnan(column), mean, column) for column, mean in zip(predicted.T, means, strict=True)]
    return [
        (names[place], true[:, place], shown[place], float(means[place])) for place in range(min(several, MOST_TARGETS))
    ]


# A series


@styled
def draw_forecast(
    rows: np.ndarray, lines: tuple[np.ndarray, np.ndarray, np.ndarray], words: tuple[str, str, str]
) -> Figure:
    """The last values of a series, what was forecast, and what repeating the last known value would say.

    rows: (n,) row numbers, as many as there are in each of lines: true, forecast, repeated. words: the subject's name,
    the column, and how far ahead it is forecast of which examples.
    """
    figure = blank(style.width(), 3.3)
    ax = figure.subplots()
    style.end_labels(ax, forecast_into(ax, rows, lines, words[1]))
    style.headline(figure, f"{words[0]}: {against_repeating(lines, words)}")
    style.footer(figure, f"{words[2]}; the last {min(LAST, len(rows)):,} of {len(rows):,}")
    return figure


def forecast_into(
    ax: Any, rows: np.ndarray, lines: tuple[np.ndarray, np.ndarray, np.ndarray], column: str
) -> style.Names:
    """The three lines into a panel; returns what stands at their ends."""
    names = []
    for line, label, colour, dash, width in (
        (lines[2], "repeat the last", look().guess, DOTTED, 1.2),
        (lines[0], "true", look().ink, "-", 1.2),
        (lines[1], "forecast", look().validation, DASHED, 1.6),
    ):
        ax.plot(rows[-LAST:], line[-LAST:], color=colour, ls=dash, lw=width, marker="o" if len(rows) == 1 else None)
        names.append((float(line[-1]), label, colour))
    ax.set_title(short(column, 40), loc="left", fontweight="bold")
    ax.set_xlabel("row")
    ax.grid(True, axis="y")
    for axis in (ax.xaxis, ax.yaxis):
        style.number_axis(axis)
    ax.margins(x=0.01)
    return names


def against_repeating(lines: tuple[np.ndarray, np.ndarray, np.ndarray], words: tuple[str, str, str]) -> str:
    """Whether the forecast is better than the simplest one, in a sentence."""
    import numpy as np

    off, simple = (float(np.abs(line - lines[0]).mean()) for line in lines[1:])
    better = "off by" if off < simple else "no better than repeating the last value: off by"
    where = ", ".join(words[2].split(", ")[:2])  # how far ahead, of which split
    return f"{words[1]}, {where}, {better} {number(off)} (mae), repeating the last by {number(simple)}"


def series_of(
    subject: Subject,
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray], tuple[str, str, str]] | None:
    """What `draw_forecast` takes of the farthest value that a series' network forecasts; None of other data."""
    import numpy as np

    encoding = subject.dataset.encoding
    if encoding is None or encoding.kind != "series":
        return None
    name, split = subject.held_out
    inputs, scaling = np.asarray(split.inputs), subject.dataset.input_scaling
    past = inputs if scaling is None else scaling.undo(inputs)
    true = np.asarray(split.targets, np.float64).reshape(len(split), -1)[:, -1]
    forecast = np.asarray(subject.predictions, np.float64).reshape(len(split), -1)[:, -1]
    ahead = f"{encoding.horizon} row{'s' * (encoding.horizon > 1)} ahead"
    rows = np.asarray(split.index) + encoding.horizon - 1
    words = (subject.name, str(encoding.labels[0]), f"{ahead}, {name}, n={len(split):,}")
    return rows, (true, forecast, np.asarray(past[:, -1, 0], np.float64)), words


def forecast(subject: Subject) -> Figure:
    """The last held-out values of a series, and what was forecast of them."""
    found = series_of(subject)
    assert found is not None
    return draw_forecast(*found)
