"""Figures from plain arrays, for a screen and for paper: each function returns a matplotlib Figure.

Colours are those of Okabe and Ito (2008), which the colour-blind tell apart, and every class has a marker too.
"""

from __future__ import annotations
from dlx.system import files

import functools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

pass
from dlx.errors import DiskError

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

P = ParamSpec("P")
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8B7D00")
MARKERS = "os^Dv*PX"
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
DPI = 150
POINTS = 1000  # of a curve: more would draw one over the other
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": "#dddddd",
    "lines.linewidth": 1.4,
    "svg.hashsalt": "dlx",
}


def _styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """`draw` under dlx's style; a notebook's own style stays as it is."""

    @functools.wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib as mpl

        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return styled


def _figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, whose parts make room for each other."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Write a figure whole or not at all; the suffix, .png or .svg, says the form. Raises DiskError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as temporary:
            temporary.write_bytes(rendered(figure, path.suffix.removeprefix(".")))
    except OSError as error:
        raise DiskError(f"cannot write ({error.strerror or error})", where=str(path)) from error


def rendered(figure: Figure, form: str = "png") -> bytes:
    """A figure as the bytes of a .png or .svg file; the same figure gives the same bytes."""
    import io

    import matplotlib as mpl

    stream = io.BytesIO()
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # names in scripts that the font lacks become boxes
        figure.savefig(stream, format=form, dpi=DPI, metadata={"Date": None} if form == "svg" else {"Software": None})
    return stream.getvalue()


def png(figure: Figure) -> tuple[bytes, tuple[int, int]]:
    """A figure as the bytes of a .png file, and its (width, height) in pixels."""
    data = rendered(figure)
    # A PNG begins with its signature and the header chunk, whose first fields are the two.
    return data, (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))


def _text(words: str) -> str:
    """A name as it is: matplotlib would set what stands between dollars as mathematics."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in words).replace("$", r"\$")


def _short(words: str, most: int = 18) -> str:
    return _text(words if len(words) <= most else words[: most - 1] + "…")


# Learning curves


@dataclass(frozen=True)
class Curve:
    """A run's rows of figures, an epoch each, and the epoch whose weights were kept."""

    label: str
    rows: Sequence[Mapping[str, Any]]
    best_epoch: int | None = None


@_styled
def curves(runs: Sequence[Curve], title: str = "") -> Figure:
    """A panel for the loss and for each metric over the epochs: train against validation, the best epoch marked.

    One run has a colour a split; several have a colour a run, solid for validation and dotted for train.
    """
    from matplotlib.lines import Line2D

    figures = _curve_names(runs)
    alone = len(runs) == 1
    labels = 0 if alone else len(runs)
    figure = _figure(3.6 * max(len(figures), 1) + (0.4 if len(figures) == 1 else 0), 2.9 + 0.17 * labels)
    panels = figure.subplots(1, max(len(figures), 1), squeeze=False)[0]
    last = max((int(row["epoch"]) for run in runs for row in run.rows), default=1)
    for panel, name in zip(panels, figures, strict=False):
        for number, run in enumerate(runs):
            _curve(panel, name, run, number, alone)
        panel.set_ylabel(_unit(name, labels="exact_match" in figures))
        panel.grid(True, axis="y")
        panel.set_axisbelow(True)
        _epochs(panel, last)
        _scale(panel, name)
    handles: list[Any] = []
    if alone:
        splits = {split for name in figures for split in ("train", "val") if _values(runs[0], f"{split}_{name}")[0]}
        dots = (0, (1, 1)) if "val" in splits else "-"
        handles += [Line2D([], [], color=PALETTE[0], ls=dots, label="train")] if "train" in splits else []
        handles += [Line2D([], [], color=PALETTE[1], label="validation")] if "val" in splits else []
    else:
        held = any(_values(run, f"val_{name}")[0] for run in runs for name in figures)
        for number, run in enumerate(runs):
            colour, dash = PALETTE[number % len(PALETTE)], DASHES[number // len(PALETTE) % len(DASHES)]
            handles.append(Line2D([], [], color=colour, ls=dash, label=_text(run.label)))
        if held:
            handles.append(Line2D([], [], color="#777777", label="validation (solid)"))
            handles.append(Line2D([], [], color="#777777", ls=(0, (1, 1)), label="train (dotted)"))
    if any(run.best_epoch for run in runs):
        best = f"best epoch, {runs[0].best_epoch}" if alone else "best epoch"
        handles.append(Line2D([], [], color="#333333", marker="o", ls="", mfc="white", label=best))
    _legend(figure, handles, most=len(handles) if alone else 3)
    if title:
        figure.suptitle(_text(title), fontsize=10)
    return figure


def _curve_names(runs: Sequence[Curve]) -> list[str]:
    keys = dict.fromkeys(key for run in runs for row in run.rows[:1] for key in row)
    names = dict.fromkeys(key.partition("_")[2] for key in keys if key.startswith(("train_", "val_")))
    return sorted(names, key=lambda name: name != "loss")


def _unit(name: str, labels: bool) -> str:
    units = {
        "loss": "loss (mean per example)",
        "accuracy": f"accuracy (share of {'labels' if labels else 'examples'})",
        "exact_match": "exact match (share of examples)",
        "mae": "mean absolute error (target's unit)",
        "mse": "mean squared error (target's unit²)",
    }
    return units.get(name, name)


def _values(run: Curve, key: str) -> tuple[list[int], list[float]]:
    rows = [row for row in run.rows if isinstance(row.get(key), (int, float))]
    if len(rows) > POINTS:  # as dense at the beginning as the axis is: evenly in the logarithm, and at the end
        places = {round(len(rows) ** (n / POINTS)) - 1 for n in range(POINTS + 1)}
        rows = [rows[place] for place in sorted(places) if 0 <= place < len(rows)]
    return [int(row["epoch"]) for row in rows], [float(row[key]) for row in rows]


def _curve(panel: Any, name: str, run: Curve, number: int, alone: bool) -> None:
    colour = PALETTE[number % len(PALETTE)]
    dash = DASHES[number // len(PALETTE) % len(DASHES)]
    for split, solid in (("train", not _values(run, f"val_{name}")[0]), ("val", True)):
        epochs, values = _values(run, f"{split}_{name}")
        if not values:
            continue
        shade = PALETTE[split == "val"] if alone else colour
        panel.plot(epochs, values, color=shade, ls=dash if solid else (0, (1, 1)), zorder=3 if solid else 2,
                   marker="." if len(values) == 1 else None)  # fmt: skip
    marked = "val" if _values(run, f"val_{name}")[0] else "train"
    best = [row for row in run.rows if row.get("epoch") == run.best_epoch and _number(row.get(f"{marked}_{name}"))]
    if best:
        panel.plot([run.best_epoch], [best[0][f"{marked}_{name}"]], "o", color="#333333" if alone else colour,
                   mfc="white", ms=5, zorder=4, clip_on=False)  # fmt: skip


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _scale(panel: Any, name: str) -> None:
    """A loss that falls by powers of ten is read on a logarithmic axis."""
    values = [v for line in panel.lines for v in line.get_ydata() if _number(float(v)) and v > 0]
    if name == "loss" and values and max(values) / min(values) > 30:
        panel.set_yscale("log")
        _plain_ticks(panel.yaxis, (1.0, 2.0, 5.0) if max(values) / min(values) < 2000 else (1.0,))


def _epochs(panel: Any, last: int) -> None:
    """The axis of epochs: whole numbers; where there are thousands, what matters is at their beginning."""
    if last < 1000:
        panel.set_xlim(1 if last > 1 else 0.5, max(last, 1.5))
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.set_xlabel("epoch")
    else:
        panel.set_xscale("log")
        panel.set_xlim(1, last)
        _plain_ticks(panel.xaxis, (1.0,))
        panel.set_xlabel("epoch (logarithmic)")


def _plain_ticks(axis: Any, steps: Sequence[float]) -> None:
    """A logarithmic axis with numbers as people write them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _legend(figure: Figure, handles: Sequence[Any], most: int) -> None:
    """Below the panels, in as many columns as the width has room for."""
    if handles:
        room = int(figure.get_figwidth() * 15)  # letters
        columns = max(1, min(most, len(handles), room // (max(len(h.get_label()) for h in handles) + 7)))
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


# Decision boundaries


@dataclass(frozen=True)
class Boundary:
    """What a network of two inputs says over a grid, and the examples.

    xs, ys: the grid's coordinates, (w,) and (h,); predictions: (h, w, classes) probabilities, or (h, w, 1) values.
    points: (n, 2); labels: (n,) class numbers or values; held_out: (n,) true for examples not trained on.
    """

    title: str
    xs: np.ndarray
    ys: np.ndarray
    predictions: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    held_out: np.ndarray


@_styled
def boundaries(panels: Sequence[Boundary], classes: Sequence[str], names: Sequence[str]) -> Figure:
    """Decision boundaries side by side, each over its points: colours are classes, pale where the network is unsure."""
    from matplotlib.lines import Line2D

    columns = min(len(panels), 4 if len(panels) > 4 else 3)
    lines = -(-len(panels) // columns)
    size = 4.2 if len(panels) == 1 else 2.5 if columns < 4 else 2.05
    titles = max(panel.title.count("\n") for panel in panels) + 1
    figure = _figure(size * columns + 0.4, (size * 0.85 + 0.16 * titles) * lines + 0.5)
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    mapped = None
    for number, panel in enumerate(panels):
        ax = axes[number // columns][number % columns]
        if classes:
            _decision(ax, panel, len(classes), small=len(panels) > 1)
        else:
            mapped = _surface(ax, panel, panels)
        ax.set_title(_text(panel.title))
        ax.set_xlim(panel.xs[0], panel.xs[-1])
        ax.set_ylim(panel.ys[0], panel.ys[-1])
    for number in range(len(panels), lines * columns):
        axes[number // columns][number % columns].set_visible(False)
    for column in range(columns):  # the lowest panel of each column names the axis
        lowest = max(line for line in range(lines) if line * columns + column < len(panels))
        axes[lowest][column].set_xlabel(_short(names[0], 24))
        for line in range(lines if len(panels) % columns else 0):
            axes[line][column].xaxis.set_tick_params(labelbottom=True)
    for line in range(lines):
        axes[line][0].set_ylabel(_short(names[1], 24))
    handles = [
        Line2D([], [], color=PALETTE[c % len(PALETTE)], marker=MARKERS[c % len(MARKERS)], ls="", ms=5, mec="white",
               label=f"class {_short(name)}")
        for c, name in enumerate(classes[:12])
    ]  # fmt: skip
    if classes:
        handles.append(Line2D([], [], color="#222222", lw=1, label="boundary"))
    if any(panel.held_out.any() for panel in panels):
        handles.append(
            Line2D([], [], color="white", marker="o", ls="", ms=5, mec="black", label="black rim: not trained on")
        )
    _legend(figure, handles, most=6)
    if mapped is not None:
        figure.colorbar(mapped, ax=axes, label="predicted value", shrink=0.8)
    return figure


def _decision(ax: Any, panel: Boundary, count: int, small: bool) -> None:
    import numpy as np
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(PALETTE[c % len(PALETTE)]) for c in range(count)])
    winner = panel.predictions.argmax(axis=-1)
    sure = (panel.predictions.max(axis=-1) - 1 / count) / (1 - 1 / count)
    strength = (0.06 + 0.34 * np.clip(sure, 0, 1))[..., None]
    ax.imshow(
        1 - strength * (1 - colours[winner]),
        extent=(panel.xs[0], panel.xs[-1], panel.ys[0], panel.ys[-1]),
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
    )
    for c in range(count if count > 2 else 1):  # where a class is ahead of all others
        rest = np.delete(panel.predictions, c, axis=-1).max(axis=-1)
        margin = panel.predictions[..., c] - rest
        if margin.min() < 0 < margin.max():
            ax.contour(panel.xs, panel.ys, margin, levels=[0], colors="#222222", linewidths=1)
    for c in range(count):
        for held in (False, True):
            rows = (panel.labels == c) & (panel.held_out == held)
            if rows.any():
                ax.scatter(
                    *panel.points[rows].T, s=12 if small else 26, c=PALETTE[c % len(PALETTE)],
                    marker=MARKERS[c % len(MARKERS)], linewidths=0.8 if held else 0.4,
                    edgecolors="black" if held else "white", zorder=3,
                )  # fmt: skip


def _surface(ax: Any, panel: Boundary, panels: Sequence[Boundary]) -> Any:
    low = min(float(min(p.predictions.min(), p.labels.min())) for p in panels)
    high = max(float(max(p.predictions.max(), p.labels.max())) for p in panels)
    limits = {"vmin": low, "vmax": high if high > low else low + 1, "cmap": "viridis"}
    mapped = ax.pcolormesh(panel.xs, panel.ys, panel.predictions[..., 0], shading="auto", rasterized=True, **limits)
    rim = ["black" if held else "white" for held in panel.held_out]
    ax.scatter(*panel.points.T, c=panel.labels, s=16, edgecolors=rim, linewidths=0.6, zorder=3, **limits)
    return mapped


# Right and wrong


@_styled
def confusion(counts: np.ndarray, classes: Sequence[str], title: str = "") -> Figure:
    """How often each class was taken for each: counts (true, predicted), coloured by their share of the true class."""
    import numpy as np

    count = len(classes)
    size = max(3.4, min(1.6 + 0.46 * count, 9.0))
    figure = _figure(size + 0.9, size)
    ax = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mapped = ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    step = max(1, -(-count // 40))
    ticks = range(0, count, step)
    small: dict[str, Any] = {"fontsize": 8 if count <= 20 else 6}
    turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    names = [_short(classes[t], 14) for t in ticks]
    ax.set_xticks(ticks, names, **small, **(turned if max(map(len, names)) > 3 else {}))
    ax.set_yticks(ticks, [_short(classes[t], 14) for t in ticks], **small)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    if count <= 20:
        for true in range(count):
            for said in range(count):
                if counts[true, said]:
                    colour = "white" if share[true, said] > 0.55 else "#222222"
                    ax.text(said, true, f"{counts[true, said]:,}", ha="center", va="center", color=colour,
                            fontsize=8 if count <= 10 else 6)  # fmt: skip
    for spine in ax.spines.values():
        spine.set_visible(True)
    figure.colorbar(mapped, ax=ax, label="share of the true class", shrink=0.8)
    ax.set_title(_text(title))
    return figure


@_styled
def mistakes(images: np.ndarray, captions: Sequence[tuple[str, str]], title: str = "") -> Figure:
    """A sheet of images, each under what it is and what the network took it for: captions are (true, said)."""
    columns = min(6, max(2, len(images)))
    lines = max(1, -(-len(images) // columns))
    figure = _figure(max(1.35 * columns, 3.6), (1.72 * lines if len(images) else 0.2) + 0.45)
    axes = figure.subplots(lines, columns, squeeze=False)
    for number, ax in enumerate(axes.flat):
        ax.axis("off")
        if number < len(images):
            _image(ax, images[number])
            true, said = captions[number]
            ax.set_title(f"is {_short(true, 15)}\n{_short(said, 22)}", fontsize=7, linespacing=1.25)
    figure.suptitle(_text(title), fontsize=10)
    return figure


def _image(ax: Any, image: np.ndarray) -> None:
    """(height, width, channels): uint8 as it is, floats by their own range; one channel is grey."""
    import numpy as np

    shown = image
    if image.dtype != np.uint8:
        low, high = float(image.min()), float(image.max())
        shown = (image - low) / (high - low or 1)
    if shown.shape[-1] == 1:
        ax.imshow(shown[..., 0], cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
    else:
        ax.imshow(shown[..., :3])


# What a network looks for, and what it sees


@_styled
def filters(kernels: np.ndarray, captions: Sequence[str], title: str = "") -> Figure:
    """Kernels (height, width, channels, n): of three channels in colour, others with blue below zero and red above."""
    import numpy as np

    number = kernels.shape[-1]
    columns = min(number, 8 if number > 12 else 5)
    lines = -(-number // columns)
    figure = _figure(max(0.86 * columns + 0.9, 4.2), 0.95 * lines + 0.35)
    axes = figure.subplots(lines, columns, squeeze=False)
    colour = kernels.shape[2] == 3
    most = float(np.abs(kernels).max()) or 1.0
    mapped = None
    for place, ax in enumerate(axes.flat):
        ax.axis("off")
        if place >= number:
            continue
        kernel = kernels[..., place]
        if colour:
            own = float(np.abs(kernel).max()) or 1.0
            ax.imshow(0.5 + kernel / (2 * own), vmin=0, vmax=1)
        else:
            mapped = ax.imshow(kernel.mean(axis=-1), cmap="RdBu_r", vmin=-most, vmax=most)
        ax.set_title(_short(captions[place], 12), fontsize=7, pad=2)
    if mapped is not None:
        figure.colorbar(mapped, ax=axes, label="weight", shrink=0.8)
    figure.suptitle(_text(title), fontsize=10)
    return figure


@_styled
def activations(
    image: np.ndarray,
    layers: Sequence[tuple[str, np.ndarray]],
    answer: Sequence[tuple[str, float]],
    classes: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """One image's way through a network: a row a layer, maps (h, w, channels), the first eight, or vectors (n,)."""
    from matplotlib.figure import Figure

    left, map_, gap, shown = 1.45, 0.7, 0.05, 8  # inches
    heights = [1.3, *(map_ if array.ndim == 3 else 0.26 for _, array in layers)]
    spaces = [0.55, *(0.09 if array.ndim == 3 else 0.26 for _, array in layers)]
    width, height = left + shown * (map_ + gap) + 0.1, 0.4 + sum(heights) + sum(spaces)
    figure = Figure(figsize=(width, height))

    def place(x: float, y: float, w: float, h: float) -> Any:
        return figure.add_axes((x / width, 1 - (y + h) / height, w / width, h / height))

    y = 0.4
    ax = place(left, y, heights[0], heights[0])
    ax.axis("off")
    _image(ax, image)
    _caption(place(0, y, left - 0.1, heights[0]), "input", " × ".join(map(str, image.shape)))
    if answer:
        bars = place(left + 4.6 * (map_ + gap), y, 3.4 * (map_ + gap) - gap, 1.1)
        bars.barh([_short(name, 14) for name, _ in answer][::-1], [share for _, share in answer][::-1],
                  color=PALETTE[0])  # fmt: skip
        bars.set_xlim(0, 1)
        bars.set_xlabel("probability", fontsize=7, labelpad=1)
        bars.tick_params(labelsize=7, length=2)
    if any(array.ndim == 3 for _, array in layers):
        words = "up to eight channels a layer, each map on a scale of its own: dark is low, yellow is high"
        figure.text(left / width, 1 - (y + heights[0] + spaces[0] - 0.08) / height, words, fontsize=7, color="#555555")
    y += heights[0] + spaces[0]
    for (name, array), tall, space in zip(layers, heights[1:], spaces[1:], strict=True):
        _caption(place(0, y, left - 0.1, tall), name, " × ".join(map(str, array.shape)))
        for channel in range(min(shown, array.shape[-1]) if array.ndim == 3 else 0):
            ax = place(left + channel * (map_ + gap), y, map_, map_)
            ax.axis("off")
            ax.imshow(array[..., channel], cmap="viridis", aspect="auto")
        if array.ndim == 1:
            ax = place(left, y, shown * (map_ + gap) - gap, tall)
            ax.imshow(array.reshape(1, -1), cmap="viridis", aspect="auto", interpolation="nearest")
            ax.set_yticks([])
            ax.tick_params(labelsize=6, length=2, pad=1)
            if len(array) == len(classes) <= 12:
                ax.set_xticks(range(len(classes)), [_short(name, 10) for name in classes])
        y += tall + space
    figure.suptitle(_text(title), fontsize=10, y=1 - 0.12 / height, va="top")
    return figure


def _caption(ax: Any, name: str, shape: str) -> None:
    ax.axis("off")
    ax.text(1, 0.5, f"{_short(name, 22)}\n{shape}", ha="right", va="center", fontsize=7, transform=ax.transAxes)
