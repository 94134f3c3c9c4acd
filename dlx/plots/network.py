"""What a network looks for, and what it makes of an image: filters and activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlx.errors import DlxError
from dlx.plots.style import PALETTE, blank, literal, short, show_image, styled
from dlx.plots.subject import Subject
from dlx.system.backend import keras

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

MAX_FILTERS = 64
MAX_ROWS = 14  # of activations on a page
LEFT, MAP, GAP, SHOWN = 1.45, 0.7, 0.05, 8  # inches of a page of activations; maps a row


@styled
def draw_filters(kernels: np.ndarray, captions: Sequence[str], title: str = "", largest: float | None = None) -> Figure:
    """Kernels (height, width, channels, n): of three channels in colour, others with blue below zero and red above.

    largest: where the scale ends, by default at the largest weight; in colour at that of each kernel.
    """
    import numpy as np

    number = kernels.shape[-1]
    columns = min(number, 8 if number > 12 else 5)
    lines = -(-number // columns)
    figure = blank(max(0.86 * columns + 0.9, 4.2), 0.95 * lines + 0.35)
    axes = figure.subplots(lines, columns, squeeze=False)
    colour = kernels.shape[2] == 3
    most = largest or float(np.abs(kernels).max()) or 1.0
    mapped = None
    for place, ax in enumerate(axes.flat):
        ax.axis("off")
        if place >= number:
            continue
        kernel = kernels[..., place]
        if colour:
            own = largest or float(np.abs(kernel).max()) or 1.0
            ax.imshow(0.5 + kernel / (2 * own), vmin=0, vmax=1)
        else:
            mapped = ax.imshow(kernel.mean(axis=-1), cmap="RdBu_r", vmin=-most, vmax=most)
        ax.set_title(short(captions[place], 12), fontsize=7, pad=2)
    if mapped is not None:
        figure.colorbar(mapped, ax=axes, label="weight", shrink=0.8)
    figure.suptitle(literal(title), fontsize=10)
    return figure


@styled
def draw_activations(
    image: np.ndarray,
    layers: Sequence[tuple[str, np.ndarray]],
    answer: Sequence[tuple[str, float]],
    classes: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """One image's way through a network: a row a layer, maps (h, w, channels), the first eight, or vectors (n,)."""
    heights = [1.3, *(MAP if array.ndim == 3 else 0.26 for _, array in layers)]
    spaces = [0.55, *(0.09 if array.ndim == 3 else 0.26 for _, array in layers)]
    page = _Page(LEFT + SHOWN * (MAP + GAP) + 0.1, 0.4 + sum(heights) + sum(spaces))
    y = 0.4
    ax = page.axes(LEFT, y, heights[0], heights[0])
    ax.axis("off")
    show_image(ax, image)
    _caption(page.axes(0, y, LEFT - 0.1, heights[0]), "input", " × ".join(map(str, image.shape)))
    if answer:
        _draw_answer(page.axes(LEFT + 4.6 * (MAP + GAP), y, 3.4 * (MAP + GAP) - GAP, 1.1), answer)
    if any(array.ndim == 3 for _, array in layers):
        words = "up to eight channels a layer, each map on a scale of its own: dark is low, yellow is high"
        page.text(LEFT, y + heights[0] + spaces[0] - 0.08, words)
    y += heights[0] + spaces[0]
    for (name, array), tall, space in zip(layers, heights[1:], spaces[1:], strict=True):
        _caption(page.axes(0, y, LEFT - 0.1, tall), name, " × ".join(map(str, array.shape)))
        for channel in range(min(SHOWN, array.shape[-1]) if array.ndim == 3 else 0):
            ax = page.axes(LEFT + channel * (MAP + GAP), y, MAP, MAP)
            ax.axis("off")
            ax.imshow(array[..., channel], cmap="viridis", aspect="auto")
        if array.ndim == 1:
            _draw_vector(page.axes(LEFT, y, SHOWN * (MAP + GAP) - GAP, tall), array, classes)
        y += tall + space
    page.figure.suptitle(literal(title), fontsize=10, y=1 - 0.12 / page.height, va="top")
    return page.figure


class _Page:
    """A figure whose parts are placed in inches from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height))

    def axes(self, x: float, y: float, width: float, height: float) -> Any:
        place = x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height
        return self.figure.add_axes(place)

    def text(self, x: float, y: float, words: str) -> None:
        self.figure.text(x / self.width, 1 - y / self.height, words, fontsize=7, color="#555555")


def _draw_answer(ax: Any, answer: Sequence[tuple[str, float]]) -> None:
    """The most probable classes as bars."""
    names, shares = zip(*reversed(answer), strict=True)
    ax.barh([short(name, 14) for name in names], shares, color=PALETTE[0])
    ax.set_xlim(0, 1)
    ax.set_xlabel("probability", fontsize=7, labelpad=1)
    ax.tick_params(labelsize=7, length=2)


def _draw_vector(ax: Any, array: np.ndarray, classes: Sequence[str]) -> None:
    """A vector as a strip, under it the classes where there is one number for each."""
    ax.imshow(array.reshape(1, -1), cmap="viridis", aspect="auto", interpolation="nearest")
    ax.set_yticks([])
    ax.tick_params(labelsize=6, length=2, pad=1)
    if len(array) == len(classes) <= 12:
        ax.set_xticks(range(len(classes)), [short(name, 10) for name in classes])


def _caption(ax: Any, name: str, shape: str) -> None:
    ax.axis("off")
    ax.text(1, 0.5, f"{short(name, 22)}\n{shape}", ha="right", va="center", fontsize=7, transform=ax.transAxes)


def first_kernel(subject: Subject) -> tuple[str, np.ndarray] | None:
    """(layer, kernel (height, width, channels, n)) of the first layer with weights; None when it sees no image."""
    shape = subject.dataset.shape
    for layer in subject.model.layers:
        kind = type(layer).__name__
        if kind == "Conv2D" and layer.kernel.shape[2] == shape[-1]:
            return layer.name, keras.ops.convert_to_numpy(layer.kernel)
        if kind == "Dense" and int(layer.kernel.shape[0]) == shape[0] * shape[1] * shape[2]:
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            return layer.name, kernel.reshape(*shape, kernel.shape[-1])
        if kind not in ("InputLayer", "Flatten", "Rescaling", "Normalization", "Dropout", "Resizing"):
            return None
    return None


def filters(subject: Subject) -> Figure:
    """What the first layer looks for: its kernels, or the weights of a dense layer in the shape of the image."""
    first = first_kernel(subject)
    if first is None:
        raise DlxError("the first layer with weights sees no image", where=subject.name)
    name, kernels = first
    count = kernels.shape[-1]
    shown = kernels[..., :MAX_FILTERS]
    head = subject.dataset.task == "classification" and count == len(subject.classes)
    dense = kernels.shape[:2] == subject.dataset.shape[:2]
    captions = list(subject.classes) if head and dense else [str(number) for number in range(shown.shape[-1])]
    of = f"{shown.shape[-1]} of the {count}" if count > MAX_FILTERS else f"the {count}"
    what = "units" if dense else "filters"
    return draw_filters(shown, captions, f"{subject.name}: {of} {what} of {name}", subject.largest)


def activations(subject: Subject, image: np.ndarray | None = None, source: str = "") -> Figure:
    """What each layer makes of one image (height, width, channels), by default the first held-out one."""
    import numpy as np

    if image is None:
        name, split = subject.held_out
        image, source = np.asarray(split.inputs[0]), f"{name} image {int(split.index[0])}"
        if subject.dataset.task == "classification":
            source += f" (true class: {subject.classes[int(split.targets[0])]})"
    layers = [layer for layer in subject.model.layers if _shows(layer)]
    if len(layers) > MAX_ROWS:  # evenly spread over the depth
        layers = [layers[round(n * (len(layers) - 1) / (MAX_ROWS - 1))] for n in range(MAX_ROWS)]
    outputs = []
    if layers:
        inner = keras.Model(subject.model.inputs, [layer.output for layer in layers])
        made = inner.predict_on_batch(image[None])
        outputs = list(made) if isinstance(made, (list, tuple)) else [made]
    rows = [(layer.name, np.asarray(o[0], np.float32)) for layer, o in zip(layers, outputs, strict=True)]
    rows = [(name, array if array.ndim == 3 else array.reshape(-1)) for name, array in rows]
    answer: list[tuple[str, float]] = []
    if subject.classes:
        shares = subject.predict(image[None])[0]
        ranked = sorted(zip(subject.classes, map(float, shares), strict=True), key=lambda pair: -pair[1])
        answer = ranked[:5]
    return draw_activations(image, rows, answer, subject.classes, f"{subject.name}: {source}")


def _shows(layer: Any) -> bool:
    """Whether a layer's output is worth a row: what only passes on, reshapes or scales is not."""
    passing = ("InputLayer", "Dropout", "Flatten", "Reshape", "Rescaling", "Normalization", "Resizing", "Add")
    linear = type(layer).__name__ == "Activation"
    return type(layer).__name__ not in passing and not linear and len(layer.output.shape) in (2, 4)
