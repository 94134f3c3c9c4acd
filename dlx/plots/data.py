"""The data before any training: points, images, columns, classes, and what augmentation makes of the images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dlx.data.dataset import Dataset
from dlx.data.splits import Splits
from dlx.parts.augment import Mix
from dlx.plots import style
from dlx.plots.style import (
    FOOTER,
    MARKERS,
    TICKS,
    WIDTH,
    blank,
    distinct,
    legend,
    look,
    palette,
    short,
    show_image,
    styled,
)
from dlx.system.backend import keras

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

MOST_POINTS, MOST_COLUMNS, MOST_CLASSES = 5000, 12, 40
ROWS, COLUMNS = 4, 10  # of images on a page
SEED = 0


def pictures(dataset: Dataset, splits: Splits, title: str) -> dict[str, Callable[[], Figure]]:
    """The pictures that fit the data, by their names: data and, where there are classes, classes."""
    shape, train = dataset.shape, splits.train
    drawn: dict[str, Callable[[], Figure]] = {}
    if len(shape) == 3 and shape[-1] in (1, 3):
        drawn["data"] = lambda: _images(dataset, splits, title)
    elif shape == (2,) and (train.targets.ndim == 1 or train.targets.shape[1] == 1):
        drawn["data"] = lambda: _scatter(dataset, splits, title)
    elif len(shape) == 1:
        drawn["data"] = lambda: _histograms(dataset, splits, title)
    if dataset.task == "classification" and train.targets.ndim == 1 and len(dataset.classes) <= MOST_CLASSES:
        drawn["classes"] = lambda: _counts(dataset, splits, title)
    return drawn


@styled
def _images(dataset: Dataset, splits: Splits, title: str) -> Figure:
    """Images of the train split, classes in turn, each under its label."""
    import numpy as np

    split = splits.train
    labels = _labels(dataset, split.targets)
    order = np.random.default_rng(SEED).permutation(len(split))[:2000]
    turns: dict[str, int] = {}
    ranks = []
    for row in order:  # the first of each class, then the second of each, …
        turns[labels[row]] = turns.get(labels[row], 0) + 1
        ranks.append((turns[labels[row]], labels[row]))
    picked = [order[place] for place in sorted(range(len(order)), key=lambda n: ranks[n])[: ROWS * COLUMNS]]
    lines = -(-len(picked) // COLUMNS)
    figure = blank(WIDTH, 0.85 * lines + 0.35)
    for place, ax in enumerate(figure.subplots(lines, COLUMNS, squeeze=False).flat):
        ax.axis("off")
        if place < len(picked):
            show_image(ax, np.asarray(split.inputs[int(picked[place])]))
            ax.set_title(short(labels[picked[place]], 10), fontsize=FOOTER, pad=2)
    style.headline(figure, f"{title}: {len(split):,} train images of {' × '.join(map(str, dataset.shape))}")
    return figure


@styled
def _scatter(dataset: Dataset, splits: Splits, title: str) -> Figure:
    """Points of two inputs, a colour a class, or coloured by their value; rimmed black where they are held out."""
    import numpy as np
    from matplotlib.lines import Line2D

    figure = blank(WIDTH, 4.6)
    ax = figure.subplots()
    handles: list[Any] = []
    for name, split in splits.named().items():
        if name == "test" and splits.test_is_validation:
            continue
        rows = np.arange(len(split))[:MOST_POINTS]
        points, scaling = np.asarray(split.inputs[rows]), dataset.input_scaling
        (xs, ys), targets = (points if scaling is None else scaling.undo(points)).T, split.targets[rows].reshape(-1)
        rim = look().background if name == "train" else look().ink
        if not dataset.classes:
            drawn = ax.scatter(xs, ys, c=targets, cmap="viridis", s=22, edgecolors=rim, linewidths=0.6)
            if name == "train":
                style.scale_bar(figure, drawn, ax, "value")
            continue
        for number in range(len(dataset.classes)):
            mine = targets == number
            ax.scatter(xs[mine], ys[mine], s=22, c=palette()[number % len(palette())],
                       marker=MARKERS[number % len(MARKERS)], edgecolors=rim, linewidths=0.6)  # fmt: skip
    for number, name in enumerate(dataset.classes[:12]):
        mark: dict[str, Any] = {"color": palette()[number % len(palette())], "marker": MARKERS[number % len(MARKERS)]}
        handles.append(Line2D([], [], ls="", label=f"class {short(name)}", **mark))
    if len(splits.named()) > 1:
        handles.append(Line2D([], [], color="none", marker="o", ls="", mec=look().ink, label="rimmed: held out"))
    names = _columns(dataset)
    ax.set_xlabel(short(names[0], 30))
    style.name_upright(ax, short(names[1], 40))
    legend(figure, handles, 4)
    if dataset.encoding is None:
        ax.set_aspect("equal")
    style.headline(figure, f"{title}: {', '.join(f'{size:,} {name}' for name, size in splits.sizes().items())}")
    return figure


@styled
def _histograms(dataset: Dataset, splits: Splits, title: str) -> Figure:
    """How the numbers of each column are distributed in the train split, of up to twelve columns."""
    import numpy as np

    names = _columns(dataset)
    inputs = np.asarray(splits.train.inputs[np.arange(len(splits.train))[:100_000]])
    if dataset.input_scaling is not None:
        inputs = dataset.input_scaling.undo(inputs)
    shown = min(len(names), MOST_COLUMNS)
    lines = -(-shown // 4)
    figure = blank(WIDTH, 1.5 * lines + 0.4)
    for place, ax in enumerate(figure.subplots(lines, 4, squeeze=False).flat):
        if place >= shown:
            ax.axis("off")
            continue
        ax.hist(inputs[:, place], bins=30, color=look().train)
        ax.set_title(short(names[place], 22), loc="left", fontweight="bold")
        ax.set_yticks([])
        ax.tick_params(labelsize=7)
        ax.xaxis.set_major_locator(_few_ticks())
    more = "" if shown == len(names) else f", {shown} of {len(names)} columns"
    style.headline(figure, f"{title}: {len(splits.train):,} train rows{more}")
    style.footer(figure, "how often each value of a column is there, in the unit of the data")
    return figure


@styled
def _counts(dataset: Dataset, splits: Splits, title: str) -> Figure:
    """How many examples of each class the splits have."""
    import numpy as np

    named = {
        name: np.bincount(split.targets, minlength=len(dataset.classes))
        for name, split in splits.named().items()
        if not (name == "test" and splits.test_is_validation)
    }
    figure = blank(WIDTH, 0.26 * len(dataset.classes) + 1.0)
    axes = figure.subplots(1, len(named), squeeze=False, sharey=True)[0]
    for number, (ax, (name, counts)) in enumerate(zip(axes, named.items(), strict=True)):
        bars = ax.barh(range(len(counts)), counts, color=palette()[number])
        ax.bar_label(bars, [f"{count:,}" for count in counts], fontsize=FOOTER, padding=2)
        ax.set_title(f"{name}, n={counts.sum():,}", loc="left", fontweight="bold")
        ax.set_yticks(range(len(counts)), distinct(dataset.classes), fontsize=TICKS)
        ax.set_xticks([])
        ax.margins(x=0.18)
    axes[0].invert_yaxis()
    train = next(iter(named.values()))
    most, least = int(train.argmax()), int(train.argmin())
    words = (
        f"{dataset.classes[most]} is the most frequent class, {100 * train[most] / max(train.sum(), 1):.0f} % of train"
    )
    if 2 * train[least] < train[most]:
        words += f"; {dataset.classes[least]} has {train[least]:,}"
    style.headline(figure, f"{title}: {words}")
    return figure


@styled
def augmented(functions: Sequence[Any], dataset: Dataset, splits: Splits, title: str) -> Figure:
    """Six train images, each beside eight of what the augmentations make of it in training."""
    import numpy as np

    rows, each = min(6, len(splits.train)), 8
    picked = np.sort(np.random.default_rng(SEED).permutation(len(splits.train))[:rows])
    raw = np.asarray(splits.train.inputs[picked])
    variants = np.repeat(raw, each, axis=0).astype(np.float32)
    for number, function in enumerate(functions):
        seed = keras.random.SeedGenerator(SEED + number)
        made = function.apply(variants, seed)[0] if isinstance(function, Mix) else function(variants, seed)
        variants = keras.ops.convert_to_numpy(made)
    whole = raw.dtype == np.uint8
    shown = np.clip(variants, 0, 255).astype(np.uint8) if whole else variants
    figure = blank(WIDTH, 0.8 * rows + 0.45)
    for (line, column), ax in np.ndenumerate(figure.subplots(rows, each + 1, squeeze=False)):
        ax.axis("off")
        show_image(ax, raw[line] if column == 0 else shown[line * each + column - 1])
        if line == 0 and column < 2:
            ax.set_title(("as it is", "as trained on")[column], fontsize=FOOTER, loc="left")
    style.headline(figure, title)
    style.footer(figure, "left: train images; right of each: what augmentation makes of it, eight times")
    return figure


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(3)


def _labels(dataset: Dataset, targets: np.ndarray) -> list[str]:
    """Each example's label as text."""
    if dataset.task == "classification" and targets.ndim == 1:
        shown = distinct(dataset.classes, 14)
        return [shown[int(target)] for target in targets]
    if dataset.task == "multi_label":
        names = dataset.classes
        return [", ".join(name for name, holds in zip(names, row, strict=True) if holds > 0.5) for row in targets]
    return [" ".join(f"{value:.4g}" for value in row.reshape(-1)[:3]) for row in targets]


def _columns(dataset: Dataset) -> list[str]:
    """The names of the inputs, as far as they have any."""
    from dlx.parts.datasets import table_encoding

    encoding = dataset.encoding
    names = list(table_encoding.input_names(encoding)) if encoding is not None and dataset.kind == "table" else []
    if len(names) == dataset.shape[0]:
        return names
    few = ["first input", "second input"]
    return few if dataset.shape == (2,) else [f"input {number}" for number in range(dataset.shape[0])]
