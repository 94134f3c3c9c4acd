"""Right and wrong: the confusion matrix, and the most confident mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlx.inference.evaluate import confusion_counts, surest_mistakes
from dlx.inference.forward import classes_of
from dlx.plots.style import (
    DOTTED,
    FOOTER,
    LEAST,
    TICKS,
    WIDTH,
    blank,
    distinct,
    footer,
    headline,
    look,
    palette,
    panels_a_row,
    percent_axis,
    short,
    show_image,
    styled,
    width,
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
    count = len(classes)
    size = min(0.42 * count + 1.4, 6.0)
    widest = max(map(len, distinct(classes))) if count <= NAMED_CLASSES else 0
    figure = blank(min(max(size + 0.08 * widest + 1.5, 4.6), WIDTH + 2), size + 0.7)
    matrix(figure.subplots(), counts, classes)
    headline(figure, title)
    footer(figure, CONFUSION)
    return figure


CONFUSION = "blue: right; orange: taken for another class; beside each row: how many of it were recognized"


def matrix(ax: Any, counts: np.ndarray, classes: Sequence[str], small: bool = False) -> None:
    """The counts into a panel; a `small` one has names and counts of a few classes alone."""
    import numpy as np

    order = np.argsort(-counts.sum(axis=1), kind="stable")
    counts, names = counts[np.ix_(order, order)], distinct([classes[number] for number in order])
    count, of = len(names), counts.sum(axis=1)
    share = counts / np.maximum(of[:, None], 1)
    most = 12 if small else NAMED_CLASSES
    widest = max(map(len, names)) if count <= most else 0
    ax.imshow(_shades(share), aspect="equal")
    letters = LEAST if small else TICKS if count <= 20 else LEAST
    ticks = range(count) if count <= most else []
    numbered = widest > 3  # names stand beside the rows alone, and below are their numbers
    ax.set_xticks(ticks, [f"{t + 1}" if numbered else names[t] for t in ticks], fontsize=letters)
    ax.set_yticks(ticks, [f"{names[t]}  {t + 1}" if numbered else names[t] for t in ticks], fontsize=letters)
    ax.set_xlabel("predicted")
    ax.annotate("true", (0, 1), (-6, 3), xycoords="axes fraction", textcoords="offset points", ha="right",
                fontsize=TICKS, color=look().secondary)  # fmt: skip
    if ticks:
        digits = max(LEAST - 0.06 * max(count - 20, 0), 4.5) if count > 10 or small else TICKS
        for true, predicted in np.argwhere(counts):
            deep = share[true, predicted] ** 0.5 > 0.62
            ax.text(predicted, true, f"{counts[true, predicted]:,}", ha="center", va="center", fontsize=digits,
                    color=look().background if deep else look().ink)  # fmt: skip
        recalls = [f"{100 * share[row, row]:.0f} % of {of[row]:,}" for row in range(count)]
        for row, text in enumerate(recalls):
            ax.text(count - 0.35, row, text, va="center", fontsize=max(letters - 1, LEAST), color=look().secondary)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color(look().grid)


def _shades(share: np.ndarray) -> np.ndarray:
    """(n, n, 3) colours of shares: on the diagonal blue, errors orange, deep by the root, zeros the ground's."""
    import numpy as np
    from matplotlib.colors import to_rgb

    depth = np.sqrt(share)[..., None]
    right = np.eye(len(share), dtype=bool)[..., None]
    hue = np.where(right, np.array(to_rgb(look().train)), np.array(to_rgb(look().validation)))
    ground = np.array(to_rgb(look().background))
    shades: np.ndarray = ground + depth * (hue - ground)
    return shades


MISTAKES = "true → predicted, and how sure it was"


@styled
def draw_mistakes(
    images: np.ndarray, captions: Sequence[tuple[str, str]], title: str = "", note: str = MISTAKES
) -> Figure:
    """A sheet of images, each under what it is and what the network took it for: captions are (true, predicted)."""
    columns = min(6 if panels_a_row() > 1 else 3, max(2, len(images)))
    lines = max(1, -(-len(images) // columns))
    figure = blank(width(), (1.62 * lines if len(images) else 0.2) + 0.55)
    axes = figure.subplots(lines, columns, squeeze=False)
    for number, ax in enumerate(axes.flat):
        ax.axis("off")
        if number < len(images):
            mistake(ax, images[number], captions[number])
    headline(figure, title)
    if len(images):
        footer(figure, note)
    return figure


def mistake(ax: Any, image: np.ndarray, caption: tuple[str, str], most: int = 22) -> None:
    """One image into a panel, under what it is and what it was taken for."""
    ax.axis("off")
    show_image(ax, image)
    true, predicted = (short(words, most - 2) for words in caption)
    gap = " " if len(true) + len(predicted) + 3 <= most else "\n"
    ax.set_title(f"{true} →{gap}{predicted}", fontsize=FOOTER, linespacing=1.25)


# Two classes


@styled
def draw_probabilities(
    probable: np.ndarray, second: np.ndarray, classes: Sequence[str], words: tuple[str, str] = ("", "")
) -> Figure:
    """How probable the network finds the second of two classes, for the examples of each.

    probable: (n,) from 0 to 1; second: (n,) true where the second class is right. words: headline and footer.
    """
    figure = blank(width(), 3.0)
    ax = figure.subplots()
    distributions(ax, probable, second, classes)
    headline(figure, words[0])
    footer(figure, "; ".join(filter(None, (words[1], "above the line at 50 % it answers the second class"))))
    return figure


def distributions(ax: Any, probable: np.ndarray, second: np.ndarray, classes: Sequence[str]) -> None:
    """Histograms of a probability, above the axis for one class and below it for the other."""
    import numpy as np
    from matplotlib.ticker import FuncFormatter

    edges = np.linspace(0, 1, 41)
    highest = 0
    for number, rows in enumerate((~second, second)):
        counts, _ = np.histogram(probable[rows], edges)
        colour, sign = palette()[number], (-1, 1)[number]
        ax.bar(edges[:-1], sign * counts, 0.025, align="edge", color=colour, edgecolor=look().background, lw=0.4)
        highest = max(highest, int(counts.max(initial=0)))
        wrong = int((rows & ((probable > 0.5) != bool(number))).sum())
        text = f"{short(classes[number], 20)}: {wrong:,} of {int(rows.sum()):,} wrong"
        ax.text(0.52, 0.97 if number else 0.03, text, transform=ax.transAxes, color=colour, fontsize=TICKS,
                va="top" if number else "bottom")  # fmt: skip
    ax.axhline(0, color=look().secondary, lw=0.6, zorder=0)
    ax.axvline(0.5, color=look().guess, ls=DOTTED, lw=1.2)
    ax.set_xlim(0, 1)
    ax.set_ylim(-1.4 * highest - 0.5, 1.4 * highest + 0.5)  # with room for what is written
    percent_axis(ax.xaxis)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))
    ax.set_xlabel(f"probability of {short(classes[1], 30)}")
    ax.set_title("examples", loc="left", fontweight="bold")


def probabilities(subject: Subject) -> Figure:
    """How sure the network is of the held-out examples of each of two classes."""
    import numpy as np

    name, split = subject.held_out
    probable, second = subject.predictions[:, 1], np.asarray(split.targets) == 1
    right = float(((probable > 0.5) == second).mean())
    unsure = int((np.abs(probable - 0.5) < 0.2).sum())
    words = f"{subject.name}: {100 * right:.1f} % right on {name}; of {unsure:,} it is less than 70 % sure"
    return draw_probabilities(probable, second, subject.classes, (words, f"{name}, n={len(split):,}"))


SHEET = 24  # mistakes on a sheet


def confusion(subject: Subject) -> Figure:
    """Which class was taken for which, over the held-out examples."""
    counts = counts_of(subject)
    return draw_confusion(counts, subject.classes, verdict(counts, subject.classes, subject.name, subject.held_out[0]))


def counts_of(subject: Subject) -> np.ndarray:
    """(classes, classes) how many held-out examples of each class, a row, were taken for each."""
    import numpy as np

    return confusion_counts(np.asarray(subject.held_out[1].targets), subject.predictions, len(subject.classes))


def verdict(counts: np.ndarray, classes: Sequence[str], name: str, split: str) -> str:
    """What a confusion matrix says, in a line: the share that is right, that of a mean class, and what is odd."""
    import numpy as np

    of, taken = counts.sum(axis=1), counts.sum(axis=0)
    there, names = of > 0, distinct(classes)
    mean = float((np.diag(counts)[there] / of[there]).mean())
    right = float(np.trace(counts) / counts.sum())
    words = f"{name}: {100 * right:.1f} % right on {split}"
    if abs(mean - right) >= 0.01:  # classes of unlike sizes, or of unlike ease
        words += f"; mean class {100 * mean:.0f} %"
    if int((taken > 0).sum()) == 1:
        return f"{words}; always answers {names[int(taken.argmax())]}"
    never = [names[int(number)] for number in np.flatnonzero((taken == 0) & there)]
    if never:
        return f"{words}; never answers {', '.join(never[:2])}{' …' * (len(never) > 2)}"
    return words


def mistakes(subject: Subject) -> Figure:
    """The held-out examples of which the network was most sure, and wrong."""
    name, split = subject.held_out
    images, captions, wrong = surest(subject, SHEET)
    shown = f"the {len(images)} most confident of {wrong:,}" if wrong > len(images) else f"all {wrong:,}"
    title = f"{subject.name}: {shown} mistakes on {len(split):,} {name} images"
    if not wrong:
        title = f"{subject.name}: no mistake on {len(split):,} {name} images"
    return draw_mistakes(images, captions, title)


def surest(subject: Subject, most: int) -> tuple[np.ndarray, list[tuple[str, str]], int]:
    """(the images of the surest mistakes, what they are and what they were taken for, how many mistakes there are)"""
    import numpy as np

    _, split = subject.held_out
    predictions = subject.predictions
    predicted, truth = classes_of(predictions), np.asarray(split.targets)
    worst = surest_mistakes(truth, predictions, most)
    names = distinct(subject.classes)
    captions = [
        (names[truth[row]], f"{names[number]}, {100 * predictions[row, number]:.0f} %")
        for row, number in zip(worst, predicted[worst], strict=True)
    ]
    return np.asarray(split.inputs[worst]), captions, int((predicted != truth).sum())
