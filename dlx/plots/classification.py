"""Right and wrong: the confusion matrix, and the most confident mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlx.inference.forward import classes_of
from dlx.plots.style import (
    LEAST,
    LIGHT,
    TICKS,
    WIDTH,
    blank,
    footer,
    headline,
    literal,
    look,
    short,
    show_image,
    styled,
)
from dlx.plots.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

NAMED_CLASSES = 40  # more have neither names nor counts in their picture


@styled
def draw_confusion(counts: np.ndarray, classes: Sequence[str], title: str = "") -> Figure:
    """How often each class was taken for each: counts (true, predicted), the most frequent class first.

    What is right has one colour and errors another; the depth is the root of the share of the true class, so that rare
    errors show, and what never happened has none. Beside each row are its recall and how many examples it has.
    """
    import numpy as np

    order = np.argsort(-counts.sum(axis=1), kind="stable")
    counts, names = counts[np.ix_(order, order)], distinct([classes[number] for number in order])
    count, of = len(names), counts.sum(axis=1)
    share = counts / np.maximum(of[:, None], 1)
    size = min(0.42 * count + 1.4, 6.0)
    widest = max(map(len, names)) if count <= NAMED_CLASSES else 0
    figure = blank(min(max(size + 0.08 * widest + 1.5, 4.6), WIDTH + 2), size + 0.7)
    ax = figure.subplots()
    ax.imshow(_shades(share), aspect="equal")
    small = TICKS if count <= 20 else LEAST if count <= NAMED_CLASSES else 0
    ticks = range(count) if small else []
    numbered = widest > 3  # names stand beside the rows alone, and below are their numbers
    ax.set_xticks(ticks, [f"{t + 1}" if numbered else names[t] for t in ticks], fontsize=small)
    ax.set_yticks(ticks, [f"{names[t]}  {t + 1}" if numbered else names[t] for t in ticks], fontsize=small)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    if count <= NAMED_CLASSES:
        digits = max(LEAST - 0.06 * max(count - 20, 0), 4.5) if count > 10 else TICKS
        for true, predicted in np.argwhere(counts):
            deep = share[true, predicted] ** 0.5 > 0.62
            ax.text(predicted, true, f"{counts[true, predicted]:,}", ha="center", va="center", fontsize=digits,
                    color="white" if deep else look().ink)  # fmt: skip
        recalls = [f"{100 * share[row, row]:.0f} % of {of[row]:,}" for row in range(count)]
        for row, text in enumerate(recalls):
            ax.text(count - 0.35, row, text, va="center", fontsize=max(small - 1, LEAST), color=look().secondary)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color(look().grid)
    headline(figure, title)
    footer(figure, "blue: right; orange: taken for another class; beside each row: how many of it were recognized")
    return figure


def _shades(share: np.ndarray) -> np.ndarray:
    """(n, n, 3) colours of shares: on the diagonal blue, errors orange, deep by the root, zeros the ground's."""
    import numpy as np
    from matplotlib.colors import to_rgb

    depth = np.sqrt(share)[..., None]
    right = np.eye(len(share), dtype=bool)[..., None]
    hue = np.where(right, np.array(to_rgb(LIGHT.train)), np.array(to_rgb(LIGHT.validation)))
    ground = np.array(to_rgb(look().background))
    shades: np.ndarray = ground + depth * (hue - ground)
    return shades


def distinct(names: Sequence[str], most: int = 16) -> list[str]:
    """Class names in at most so many letters, no two of them alike, without words that all begin or end with."""
    words = [name.replace("_", " ").split() for name in names]
    while len(words) > 1 and all(len(one) > 1 for one in words) and len({one[0] for one in words}) == 1:
        words = [one[1:] for one in words]
    while len(words) > 1 and all(len(one) > 1 for one in words) and len({one[-1] for one in words}) == 1:
        words = [one[:-1] for one in words]
    plain = [" ".join(one) or name for one, name in zip(words, names, strict=True)]
    cut = [short(name, most) for name in plain]
    if len(set(cut)) < len(set(plain)):  # the ends tell them apart
        cut = [
            literal(f"{name[: most // 2 - 1]}…{name[-(most // 2) :]}" if len(name) > most else name) for name in plain
        ]
    if len(set(cut)) < len(cut):
        cut = [f"{number} {name}" for number, name in enumerate(cut, 1)]
    return cut


@styled
def draw_mistakes(images: np.ndarray, captions: Sequence[tuple[str, str]], title: str = "") -> Figure:
    """A sheet of images, each under what it is and what the network took it for: captions are (true, predicted)."""
    columns = min(6, max(2, len(images)))
    lines = max(1, -(-len(images) // columns))
    figure = blank(max(1.35 * columns, 3.6), (1.72 * lines if len(images) else 0.2) + 0.45)
    axes = figure.subplots(lines, columns, squeeze=False)
    for number, ax in enumerate(axes.flat):
        ax.axis("off")
        if number < len(images):
            show_image(ax, images[number])
            true, predicted = captions[number]
            ax.set_title(f"is {short(true, 15)}\n{short(predicted, 22)}", fontsize=7, linespacing=1.25)
    headline(figure, title)
    return figure


SHEET = 24  # mistakes on a sheet


def confusion(subject: Subject) -> Figure:
    """Which class was taken for which, over the held-out examples."""
    import numpy as np

    name, split = subject.held_out
    predicted = classes_of(subject.predictions)
    counts = np.zeros((len(subject.classes),) * 2, np.int64)
    np.add.at(counts, (np.asarray(split.targets), predicted), 1)
    return draw_confusion(counts, subject.classes, verdict(counts, subject.classes, subject.name, name))


def verdict(counts: np.ndarray, classes: Sequence[str], name: str, split: str) -> str:
    """What a confusion matrix says, in a line: the share that is right, that of a mean class, and what is odd."""
    import numpy as np

    of, taken = counts.sum(axis=1), counts.sum(axis=0)
    there = of > 0
    mean = float((np.diag(counts)[there] / of[there]).mean())
    words = f"{name}: {100 * np.trace(counts) / counts.sum():.1f} % right on {split}; mean class {100 * mean:.0f} %"
    if int((taken > 0).sum()) == 1:
        return f"{words}; always answers {short(classes[int(taken.argmax())], 20)}"
    never = [short(classes[int(number)], 16) for number in np.flatnonzero((taken == 0) & there)]
    if never:
        return f"{words}; never answers {', '.join(never[:2])}{' …' * (len(never) > 2)}"
    return words


def mistakes(subject: Subject) -> Figure:
    """The held-out examples of which the network was most sure, and wrong."""
    import numpy as np

    name, split = subject.held_out
    predictions = subject.predictions
    predicted, truth = classes_of(predictions), np.asarray(split.targets)
    wrong = np.flatnonzero(predicted != truth)
    sure = predictions[wrong, predicted[wrong]]
    order = np.argsort(-sure, kind="stable")[:SHEET]
    worst = wrong[order]
    captions = [
        (subject.classes[truth[row]], f"predicted {subject.classes[number]}, {predictions[row, number]:.0%}")
        for row, number in zip(worst, predicted[worst], strict=True)
    ]
    shown = f"the {len(worst)} most confident of {len(wrong):,}" if len(wrong) > len(worst) else f"all {len(wrong):,}"
    title = f"{subject.name}: {shown} mistakes on {len(split):,} {name} images"
    if not len(wrong):
        title = f"{subject.name}: no mistake on {len(split):,} {name} images"
    return draw_mistakes(split.inputs[worst], captions, title)
