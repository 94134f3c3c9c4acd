"""What a network looks for, and what it makes of an image: filters and activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlx.errors import DlxError
from dlx.plots import style
from dlx.plots.style import FOOTER, LEAST, WIDTH, blank, distinct, look, short, show_image, styled
from dlx.plots.subject import Subject
from dlx.runs.history import thinned
from dlx.system.backend import keras

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

MAX_FILTERS = 64
OF_COLOUR = "each in its own scale: grey is zero, a colour is what excites it"
MAX_ROWS = 14  # of activations on a page
LEFT, MAP, GAP, SHOWN = 1.35, 0.66, 0.05, 8  # inches of a page of activations; maps a row


@styled
def draw_filters(kernels: np.ndarray, captions: Sequence[str], title: str = "", largest: float | None = None) -> Figure:
    """Kernels (height, width, channels, n): of three channels in colour, others with blue above zero and red below.

    largest: where the scale ends, by default at the largest weight; in colour at that of each kernel.
    """
    import numpy as np

    number = kernels.shape[-1]
    columns = min(number, 8 if number > 12 else 6)
    lines = -(-number // columns)
    figure = blank(style.width(), style.width() / 8.6 * lines * (8 / columns if number > 4 else 1) + 0.75)
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
            mapped = ax.imshow(kernel.mean(axis=-1), cmap="RdBu", vmin=-most, vmax=most)
        ax.set_title(short(captions[place], 14), fontsize=FOOTER, pad=2)
    if mapped is not None:
        style.scale_bar(figure, mapped, axes, "weight")
    style.headline(figure, title)
    style.footer(figure, OF_COLOUR if colour else "blue: weights above zero; red: below")
    return figure


@dataclass(frozen=True, eq=False)
class Maps:
    """What a layer makes of one image: (h, w, channels), or (n,).

    dead: (channels,) true for those that say the same to every image that was looked at.
    """

    name: str
    array: np.ndarray
    dead: np.ndarray

    def strongest(self) -> list[int]:
        """The eight channels that answer most to the image, the dead ones last."""
        import numpy as np

        strength = np.abs(self.array).mean(axis=(0, 1))
        return [int(n) for n in np.lexsort((-strength, self.dead))[:SHOWN]]


@styled
def draw_activations(
    image: np.ndarray,
    layers: Sequence[Maps],
    answer: Sequence[tuple[str, float]],
    classes: Sequence[str] = (),
    words: tuple[str, str] = ("", ""),
) -> Figure:
    """One image's way through a network: a row a layer, its eight strongest maps or its vector.

    words: headline and footer.
    """
    heights = [1.3, *(MAP if maps.array.ndim == 3 else 0.26 for maps in layers)]
    spaces = [0.35, *(0.09 if maps.array.ndim == 3 else 0.26 for maps in layers)]
    y = 0.45 if len(words[0]) < 62 else 0.65  # below a headline of two lines
    page = _Page(WIDTH, y + sum(heights) + sum(spaces) + 0.25)
    ax = page.axes(LEFT, y, heights[0], heights[0])
    ax.axis("off")
    show_image(ax, image)
    _caption(page.axes(0, y, LEFT - 0.1, heights[0]), "input", " × ".join(map(str, image.shape)))
    if answer:
        _draw_answer(page.axes(LEFT + 4.6 * (MAP + GAP), y, 3.4 * (MAP + GAP) - GAP, 1.1), answer)
    y += heights[0] + spaces[0]
    for maps, tall, space in zip(layers, heights[1:], spaces[1:], strict=True):
        array, lost = maps.array, int(maps.dead.sum())
        shape = " × ".join(map(str, array.shape)) + (f"\n{lost:,} dead" if lost and array.ndim == 3 else "")
        _caption(page.axes(0, y, LEFT - 0.1, tall), maps.name, shape)
        for place, channel in enumerate(maps.strongest() if array.ndim == 3 else ()):
            ax = page.axes(LEFT + place * (MAP + GAP), y, MAP, MAP)
            ax.axis("off")
            ax.imshow(array[..., channel], cmap="viridis", aspect="auto")
            if maps.dead[channel]:
                ax.text(
                    0.5, 0.5, "dead", transform=ax.transAxes, ha="center", va="center", color="white", fontsize=FOOTER
                )
        if array.ndim == 1:
            _draw_vector(page.axes(LEFT, y, SHOWN * (MAP + GAP) - GAP, tall), array, classes)
        y += tall + space
    style.headline(page.figure, words[0])
    if words[1]:
        page.text(0.07, page.height - 0.08, words[1])
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
        self.figure.text(x / self.width, 1 - y / self.height, words, fontsize=FOOTER, color=look().secondary)


def _draw_answer(ax: Any, answer: Sequence[tuple[str, float]]) -> None:
    """The most probable classes as bars."""
    names, shares = zip(*reversed(answer), strict=True)
    ax.barh([short(name, 14) for name in names], shares, color=look().train)
    ax.set_xlim(0, 1)
    style.percent_axis(ax.xaxis)
    ax.set_title("probability", fontsize=FOOTER, loc="left", pad=2)
    ax.tick_params(labelsize=FOOTER, length=2)


def _draw_vector(ax: Any, array: np.ndarray, classes: Sequence[str]) -> None:
    """A vector as a strip, under it the classes where there is one number for each."""
    ax.imshow(array.reshape(1, -1), cmap="viridis", aspect="auto", interpolation="nearest")
    ax.set_yticks([])
    ax.tick_params(labelsize=LEAST, length=2, pad=1)
    if len(array) == len(classes) <= 12:
        ax.set_xticks(range(len(classes)), [short(name, 10) for name in classes])


def _caption(ax: Any, name: str, shape: str) -> None:
    ax.axis("off")
    ax.text(1, 0.5, f"{short(name, 22)}\n{shape}", ha="right", va="center", fontsize=FOOTER, transform=ax.transAxes)


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
    import numpy as np

    name, kernels = first
    count = kernels.shape[-1]
    head = subject.dataset.task == "classification" and count == len(subject.classes)
    dense = kernels.shape[:2] == subject.dataset.shape[:2]
    templates = head and dense  # one a class, in the order of the classes
    norms = np.sqrt((kernels.astype(np.float64) ** 2).sum(axis=(0, 1, 2)))
    order = np.arange(count) if templates else np.argsort(-norms, kind="stable")[:MAX_FILTERS]
    names = distinct(subject.classes) if templates else []
    captions = [names[n] if templates else f"{n}: {norms[n]:.2g}" for n in order]
    of = f"{len(order)} of the {count}" if count > len(order) else f"the {count}"
    what = f"{'units' if dense else 'filters'} of {name}{'' if templates else ', the largest norm first'}"
    return draw_filters(kernels[..., order], captions, f"{subject.name}: {of} {what}", subject.largest)


LOOKED_AT = 32  # held-out images that say which channels are dead


def activations(subject: Subject, image: np.ndarray | None = None, source: str = "") -> Figure:
    """What each layer makes of one image (height, width, channels), by default the first held-out one."""
    import numpy as np

    name, split = subject.held_out
    names = distinct(subject.classes)
    if image is None:
        image, source = np.asarray(split.inputs[0]), f"{name} image {int(split.index[0])}"
        if subject.dataset.task == "classification":
            source += f", a {names[int(split.targets[0])]}"
    layers = [layer for layer in subject.model.layers if _shows(layer)]
    layers = list(thinned(layers, MAX_ROWS))
    seen = np.concatenate([image[None], np.asarray(split.inputs[: LOOKED_AT - 1])])
    outputs = []
    if layers:
        inner = keras.Model(subject.model.inputs, [layer.output for layer in layers])
        made = inner.predict_on_batch(seen)
        outputs = list(made) if isinstance(made, (list, tuple)) else [made]
    rows = []
    for layer, output in zip(layers, outputs, strict=True):
        of_each = np.asarray(output, np.float32)
        flat = of_each.reshape(-1, of_each.shape[-1]) if of_each.ndim == 4 else of_each.reshape(len(of_each), -1)
        array = of_each[0] if of_each.ndim == 4 else flat[0]
        rows.append(Maps(layer.name, array, np.ptp(flat, axis=0) == 0))
    answer: list[tuple[str, float]] = []
    if subject.classes:
        shares = subject.predict(image[None])[0]
        ranked = sorted(zip(names, map(float, shares), strict=True), key=lambda pair: -pair[1])
        answer = ranked[:5]
    said = f"{subject.name}: {source}" + (f": answers {answer[0][0]}, {100 * answer[0][1]:.0f} %" if answer else "")
    note = f"dead: the same on each of {len(seen)} images"
    words = f"the {SHOWN} strongest channels of a layer, each in its own scale: dark is low, yellow is high; {note}"
    return draw_activations(image, rows, answer, names, (said, words))


def _shows(layer: Any) -> bool:
    """Whether a layer's output is worth a row: what only passes on, reshapes or scales is not."""
    passing = ("InputLayer", "Dropout", "Flatten", "Reshape", "Rescaling", "Normalization", "Resizing", "Add")
    linear = type(layer).__name__ == "Activation"
    return type(layer).__name__ not in passing and not linear and len(layer.output.shape) in (2, 4)
