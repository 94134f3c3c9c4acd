"""Right and wrong: the confusion matrix, and the most confident mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlx.inference.forward import classes_of
from dlx.plots.style import blank, literal, short, show_image, styled
from dlx.plots.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


# Right and wrong


@styled
def draw_confusion(counts: np.ndarray, classes: Sequence[str], title: str = "") -> Figure:
    """How often each class was taken for each: counts (true, predicted), coloured by their share of the true class."""
    import numpy as np

    count = len(classes)
    size = max(3.4, min(1.6 + 0.46 * count, 9.0))
    figure = blank(size + 0.9, size)
    ax = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mapped = ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    step = max(1, -(-count // 40))
    ticks = range(0, count, step)
    small: dict[str, Any] = {"fontsize": 8 if count <= 20 else 6}
    turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    names = [short(classes[t], 14) for t in ticks]
    ax.set_xticks(ticks, names, **small, **(turned if max(map(len, names)) > 3 else {}))
    ax.set_yticks(ticks, [short(classes[t], 14) for t in ticks], **small)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    if count <= 20:
        for true in range(count):
            for predicted in range(count):
                if counts[true, predicted]:
                    colour = "white" if share[true, predicted] > 0.55 else "#222222"
                    ax.text(predicted, true, f"{counts[true, predicted]:,}", ha="center", va="center", color=colour,
                            fontsize=8 if count <= 10 else 6)  # fmt: skip
    for spine in ax.spines.values():
        spine.set_visible(True)
    figure.colorbar(mapped, ax=ax, label="share of the true class", shrink=0.8)
    ax.set_title(literal(title))
    return figure


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
    figure.suptitle(literal(title), fontsize=10)
    return figure


SHEET = 24  # mistakes on a sheet


def confusion(subject: Subject) -> Figure:
    """Which class was taken for which, over the held-out examples."""
    import numpy as np

    name, split = subject.held_out
    predicted = classes_of(subject.predictions)
    counts = np.zeros((len(subject.classes),) * 2, np.int64)
    np.add.at(counts, (np.asarray(split.targets), predicted), 1)
    right, of = int(np.trace(counts)), int(counts.sum())
    title = f"{subject.name}: {right:,} of {of:,} {name} examples right ({right / of:.1%})"
    return draw_confusion(counts, subject.classes, title)


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
