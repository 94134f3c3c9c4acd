"""A regression: what was predicted against what is true, and how far it is off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlx.plots.style import PALETTE, blank, literal, short, styled
from dlx.plots.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

MOST_TARGETS, WORST, MOST_POINTS = 4, 5, 4000


@styled
def draw_residuals(
    pairs: Sequence[tuple[str, np.ndarray, np.ndarray, float]], rows: np.ndarray, title: str = ""
) -> Figure:
    """For each target a scatter of its predictions against the truth, and a histogram of the differences.

    pairs: (name, true (n,), predicted (n,), the mean of the train split); rows: (n,) row numbers of the examples, which
    the farthest off are named by.
    """
    figure = blank(7.2, 3.3 * len(pairs) + 0.3)
    axes = figure.subplots(len(pairs), 2, squeeze=False)
    for (name, true, predicted, mean), (left, right) in zip(pairs, axes, strict=True):
        _scatter(left, name, true, predicted, rows)
        _histogram(right, name, predicted - true, mean - true)
    figure.suptitle(literal(title), fontsize=10, x=0.01, ha="left")
    return figure


def _scatter(ax: Any, name: str, true: np.ndarray, predicted: np.ndarray, rows: np.ndarray) -> None:
    """Points near the diagonal are right; the worst are ringed, with their rows."""
    import numpy as np

    some = np.unique(np.linspace(0, len(true) - 1, MOST_POINTS).astype(int))
    low, high = float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))
    margin = 0.04 * (high - low or 1.0)
    ends = low - margin, high + margin
    named: list[tuple[float, float]] = []
    ax.plot(ends, ends, ls=":", lw=1, color="#8C959F", zorder=1)
    ax.plot(true[some], predicted[some], "o", ms=3, alpha=0.6, mec="none", color=PALETTE[0], zorder=2)
    for place in np.argsort(-np.abs(predicted - true), kind="stable")[:WORST]:
        ax.plot(true[place], predicted[place], "o", ms=7, mfc="none", mec=PALETTE[1], zorder=3)
        # Away from the diagonal, and within the panel.
        left = true[place] > low + 0.2 * (high - low) and (
            predicted[place] > true[place] or true[place] > high - 0.2 * (high - low)
        )
        spot = true[place], predicted[place]
        beside = sum(abs(spot[0] - x) + abs(spot[1] - y) < 0.05 * (high - low) for x, y in named)  # below their names
        named.append(spot)
        offset = (-6 if left else 6, -8 * beside)
        ax.annotate(
            f"row {rows[place]}", (true[place], predicted[place]), fontsize=6.5, xytext=offset,
            textcoords="offset points", ha="right" if left else "left", va="center",
        )  # fmt: skip
    ax.set_xlim(ends)
    ax.set_ylim(ends)
    ax.set_xlabel(f"true {short(name, 24)}")
    ax.set_ylabel(f"predicted {short(name, 24)}")
    ax.set_title("on the dotted line it is right; the worst are ringed", loc="left", fontsize=8)


def _histogram(ax: Any, name: str, off: np.ndarray, of_mean: np.ndarray) -> None:
    """How far the predictions are off, beside how far the mean of the train split would be."""
    import numpy as np

    edges = np.histogram_bin_edges(np.concatenate([off, of_mean]), bins=30)
    ax.hist(of_mean, edges, color="#8C959F", alpha=0.45, label=f"the mean of train: mae {np.abs(of_mean).mean():.4g}")
    ax.hist(off, edges, color=PALETTE[0], alpha=0.8, label=f"the network: mae {np.abs(off).mean():.4g}")
    ax.axvline(0, color="#1F2328", lw=0.8)
    ax.set_ylim(top=1.3 * ax.get_ylim()[1])  # for the legend
    ax.set_xlabel(f"predicted minus true {short(name, 20)}")
    ax.set_ylabel("examples")
    ax.legend(frameon=False, fontsize=7, loc="upper right")


def residuals(subject: Subject) -> Figure:
    """The predictions of the held-out examples against the truth, target by target."""
    import numpy as np

    name, split = subject.held_out
    true = np.asarray(split.targets, np.float64).reshape(len(split), -1)
    predicted = np.asarray(subject.predictions, np.float64).reshape(len(split), -1)
    means = np.asarray(subject.splits.train.targets, np.float64).reshape(len(subject.splits.train), -1).mean(axis=0)
    encoding = subject.dataset.encoding
    labels = list(encoding.labels) if encoding is not None and len(encoding.labels) == true.shape[1] else []
    names = labels or (["value"] if true.shape[1] == 1 else [f"value {place}" for place in range(true.shape[1])])
    pairs = [
        (names[place], true[:, place], predicted[:, place], float(means[place]))
        for place in range(min(true.shape[1], MOST_TARGETS))
    ]
    more = f"; {MOST_TARGETS} of {true.shape[1]} targets" if true.shape[1] > MOST_TARGETS else ""
    return draw_residuals(pairs, np.arange(len(split)), f"{subject.name}: {len(split):,} examples of {name}{more}")
