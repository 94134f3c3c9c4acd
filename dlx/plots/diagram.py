"""A small network as its units and weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlx.parts.datasets import table_encoding
from dlx.plots.style import LEAST, TICKS, WIDTH, blank, headline, legend, look, short, styled
from dlx.plots.subject import Subject
from dlx.system.backend import keras

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

MOST_UNITS, MOST_WEIGHTS = 24, 700
PASSING = ("InputLayer", "Activation", "Flatten", "Dropout", "Rescaling", "Normalization")


def kernels(subject: Subject) -> list[tuple[str, np.ndarray, np.ndarray]] | None:
    """(layer, kernel (inputs, units), biases (units,)) of a network of dense layers that is small enough to draw."""
    import numpy as np

    if len(subject.dataset.shape) != 1:
        return None
    found, before = [], subject.dataset.shape[0]
    for layer in subject.model.layers:
        if type(layer).__name__ == "Dense":
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            if kernel.shape[0] != before:  # the layers are not one behind the other
                return None
            before = kernel.shape[1]
            biases = np.zeros(kernel.shape[1]) if layer.bias is None else keras.ops.convert_to_numpy(layer.bias)
            found.append((layer.name, kernel, biases))
        elif type(layer).__name__ not in PASSING:
            return None
    units = max((max(kernel.shape) for _, kernel, _ in found), default=MOST_UNITS + 1)
    small = units <= MOST_UNITS and sum(kernel.size for _, kernel, _ in found) <= MOST_WEIGHTS
    return found if small else None


def network(subject: Subject) -> Figure:
    """Units as circles, weights as lines: thick where they are large, blue above zero and orange, dashed, below."""
    layers = kernels(subject)
    assert layers is not None
    inputs = int(layers[0][1].shape[0])
    encoding = subject.dataset.encoding
    names = list(table_encoding.input_names(encoding)) if encoding is not None else []
    first = names if len(names) == inputs else [f"input {number}" for number in range(inputs)]
    outputs = layers[-1][1].shape[1]
    classes = list(subject.classes)
    last = classes if len(classes) == outputs else [classes[-1]] if classes and outputs == 1 else [""] * outputs
    return draw_network(layers, first, last, subject.name, subject.largest)


@styled
def draw_network(
    layers: Sequence[tuple[str, np.ndarray, np.ndarray]],
    inputs: Sequence[str],
    outputs: Sequence[str],
    title: str,
    largest: float | None = None,
) -> Figure:
    """The layers from left to right; each unit holds its bias. largest: the weight whose line is the thickest."""
    import numpy as np
    from matplotlib.lines import Line2D

    sizes = [layers[0][1].shape[0], *(kernel.shape[1] for _, kernel, _ in layers)]
    figure = blank(WIDTH, min(max(2.8, 0.45 * max(sizes) + 1.3), 9.0))
    ax = figure.subplots()
    ax.axis("off")
    largest = largest or max(float(np.abs(kernel).max()) for _, kernel, _ in layers) or 1.0
    places = [[(column, (size - 1) / 2 - number) for number in range(size)] for column, size in enumerate(sizes)]
    for column, (_, kernel, _) in enumerate(layers):
        for (source, unit), weight in np.ndenumerate(kernel):
            start, end = places[column][source], places[column + 1][unit]
            drawn: dict[str, Any] = {"color": look().train} if weight >= 0 else {"color": look().validation, "ls": "--"}
            ax.plot(*zip(start, end, strict=True), lw=0.3 + 4.2 * abs(weight) / largest, alpha=0.75, zorder=1, **drawn)
    texts = max(sizes) <= 12
    for column, points in enumerate(places):
        biases = [None] * len(points) if column == 0 else list(layers[column - 1][2])
        for (x, y), bias in zip(points, biases, strict=True):
            ax.plot(x, y, "o", ms=22 if texts else 9, mfc=look().background, mec=look().secondary, zorder=2)
            if bias is not None and texts:
                ax.text(x, y, f"{bias:.2g}", ha="center", va="center", fontsize=LEAST, zorder=3)
    for names, points, side in ((inputs, places[0], "right"), (outputs, places[-1], "left")):
        for name, (x, y) in zip(names, points, strict=True):
            ax.text(x + (-0.12 if side == "right" else 0.12), y, short(name, 18), ha=side, va="center", fontsize=TICKS)
    for column, (name, _, _) in enumerate(layers, 1):
        ax.text(column, max(sizes) / 2 + 0.15, short(name, 18), ha="center", va="bottom", fontsize=TICKS)
    ax.set_xlim(-0.7, len(layers) + 0.7)
    ax.set_ylim(-max(sizes) / 2 - 0.2, max(sizes) / 2 + 0.5)
    handles = [
        Line2D([], [], color=look().train, label="weight above zero"),
        Line2D([], [], color=look().validation, ls="--", label="below zero"),
        Line2D([], [], color=look().secondary, lw=4.5, label=f"thickest: {largest:.3g}"),
    ]
    count = sum(kernel.size + biases.size for _, kernel, biases in layers)
    headline(figure, f"{title}: {count:,} weights and biases, the largest weight {largest:.3g}")
    legend(figure, handles, 3, "in each unit its bias" if texts else "")
    return figure
