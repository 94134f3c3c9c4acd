"""Decision boundaries of networks with two inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlx.inference.forward import classes_of
from dlx.parts.datasets import table_encoding
from dlx.plots.style import (
    MARKERS,
    TICKS,
    blank,
    headline,
    legend,
    look,
    name_upright,
    palette,
    scale_bar,
    short,
    styled,
    width,
)
from dlx.plots.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


# Decision boundaries


@dataclass(frozen=True)
class Boundary:
    """What a network of two inputs says over a grid, and the examples.

    xs, ys: the grid's coordinates, (w,) and (h,); predictions: (h, w, classes) probabilities, or (h, w, 1) values.
    points: (n, 2); labels: (n,) class numbers or values; held_out: (n,) true for examples not trained on; wrong: (n,)
    true for those that are taken for another class.
    """

    title: str
    xs: np.ndarray
    ys: np.ndarray
    predictions: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    held_out: np.ndarray
    wrong: np.ndarray | None = None


@styled
def draw_boundaries(
    panels: Sequence[Boundary],
    classes: Sequence[str],
    names: Sequence[str],
    words: tuple[str, str] = ("", ""),
    alike: bool = False,
) -> Figure:
    """Decision boundaries side by side, each over its points: colours are classes, pale where the network is unsure.

    words: the headline and the footer. `alike`: both inputs are in one unit, and so are drawn in one scale.
    """
    columns = min(len(panels), 4 if len(panels) > 4 else 3)
    lines = -(-len(panels) // columns)
    size = (width() - 0.4) / columns
    wide = (panels[0].ys[-1] - panels[0].ys[0]) / (panels[0].xs[-1] - panels[0].xs[0]) if alike else 0.85
    tall = size * min(max(wide, 0.4), 0.7 if len(panels) == 1 else 1.5)
    figure = blank(width(), (tall + 0.55) * lines + 0.7)
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    mapped = None
    for number, panel in enumerate(panels):
        ax = axes[number // columns][number % columns]
        if classes:
            _decision(ax, panel, len(classes), small=len(panels) > 1)
        else:
            mapped = _surface(ax, panel, panels)
        if len(panels) > 1:
            small = columns > 3
            title = short(panel.title, 26 if small else 34)
            ax.set_title(title, loc="left", fontweight="bold", fontsize=TICKS - small)
        ax.set_aspect("equal" if alike else "auto")
        ax.set_xlim(panel.xs[0], panel.xs[-1])
        ax.set_ylim(panel.ys[0], panel.ys[-1])
    for number in range(len(panels), lines * columns):
        axes[number // columns][number % columns].set_visible(False)
    for column in range(columns):  # the lowest panel of each column names the axis
        lowest = max(line for line in range(lines) if line * columns + column < len(panels))
        axes[lowest][column].set_xlabel(short(names[0], 24))
        for line in range(lines if len(panels) % columns else 0):
            axes[line][column].xaxis.set_tick_params(labelbottom=True)
    if len(panels) == 1:
        name_upright(axes[0][0], short(names[1], 40))
    headline(figure, words[0] or panels[0].title)
    upwards = [f"upwards: {names[1]}"] if len(panels) > 1 else []
    legend(figure, _handles(panels, classes), 6, "; ".join([*filter(None, words[1:]), *upwards]))
    if mapped is not None:
        scale_bar(figure, mapped, axes, "value")
    return figure


def _handles(panels: Sequence[Boundary], classes: Sequence[str]) -> list[Any]:
    """What stands below the panels: the classes, the boundary, and what rims and rings mean."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=palette()[c % len(palette())], marker=MARKERS[c % len(MARKERS)], ls="", ms=5,
               mec=look().background, label=f"class {short(name)}")
        for c, name in enumerate(classes[:12])
    ]  # fmt: skip
    if classes:
        handles.append(Line2D([], [], color=look().ink, lw=1, label="boundary"))
    if any(panel.wrong is not None and panel.wrong.any() for panel in panels):
        ring: dict[str, Any] = {"color": "none", "marker": "o", "ls": "", "ms": 8, "mec": look().ink}
        words = "ringed: wrong in train" if _many(panels[0]) else "ringed: wrong"
        handles.append(Line2D([], [], label=words, **ring))
    if any(panel.held_out.any() for panel in panels):
        handles.append(
            Line2D([], [], color=look().secondary, marker="o", ls="", ms=1.5, label="small: not trained on")
            if _many(panels[0])
            else Line2D([], [], color="none", marker="o", ls="", ms=5, mec=look().ink, label="rimmed: not trained on")
        )
    return handles


def _decision(ax: Any, panel: Boundary, count: int, small: bool) -> None:
    import numpy as np
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(palette()[c % len(palette())]) for c in range(count)])
    winner = panel.predictions.argmax(axis=-1)
    sure = (panel.predictions.max(axis=-1) - 1 / count) / (1 - 1 / count)
    strength = (0.06 + 0.34 * np.clip(sure, 0, 1))[..., None]
    ground = np.array(to_rgb(look().background))
    ax.imshow(
        ground + strength * (colours[winner] - ground),
        extent=(panel.xs[0], panel.xs[-1], panel.ys[0], panel.ys[-1]),
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
    )
    for c in range(count if count > 2 else 1):  # where a class is ahead of all others
        rest = np.delete(panel.predictions, c, axis=-1).max(axis=-1)
        margin = panel.predictions[..., c] - rest
        if margin.min() < 0 < margin.max():
            ax.contour(panel.xs, panel.ys, margin, levels=[0], colors=look().ink, linewidths=1.2, zorder=4)
    many = _many(panel)
    for c in range(count):
        for outside in (False, True):
            rows = (panel.labels == c) & (panel.held_out == outside)
            style: dict[str, Any] = {"s": 12 if small else 26, "linewidths": 0.8 if outside else 0.4, "zorder": 3}
            style["edgecolors"] = look().ink if outside else look().background
            if outside and many:  # a cloud, through which line and train points are seen
                style = {"s": 2 if small else 4, "linewidths": 0, "alpha": 0.45, "zorder": 2}
            if rows.any():
                xs, ys = panel.points[rows].T
                ax.scatter(xs, ys, c=palette()[c % len(palette())], marker=MARKERS[c % len(MARKERS)], **style)
    if panel.wrong is not None:
        rows = panel.wrong & ~(panel.held_out & many)
        ax.scatter(*panel.points[rows].T, s=30 if small else 70, facecolors="none", edgecolors=look().ink,
                   linewidths=0.9, zorder=5)  # fmt: skip


def _many(panel: Boundary) -> bool:
    """Whether the examples that are held out are too many to be seen one by one."""
    return int(panel.held_out.sum()) > MANY


def _surface(ax: Any, panel: Boundary, panels: Sequence[Boundary]) -> Any:
    low = min(float(min(p.predictions.min(), p.labels.min())) for p in panels)
    high = max(float(max(p.predictions.max(), p.labels.max())) for p in panels)
    limits = {"vmin": low, "vmax": high if high > low else low + 1, "cmap": "viridis"}
    mapped = ax.pcolormesh(panel.xs, panel.ys, panel.predictions[..., 0], shading="auto", rasterized=True, **limits)
    rim = [look().ink if outside else look().background for outside in panel.held_out]
    ax.scatter(*panel.points.T, c=panel.labels, s=16, edgecolors=rim, linewidths=0.6, zorder=3, **limits)
    return mapped


MANY = 300  # held-out points are dots beyond this
GRID = 200  # points of a boundary's grid on each side


def boundaries(subjects: Sequence[Subject], titles: Sequence[str] = ()) -> Figure:
    """The decision boundaries of networks with two inputs, over their points; several have a title each."""
    import numpy as np

    every = np.concatenate([_points(s) for s in subjects])
    low, high = every.min(axis=0), every.max(axis=0)
    margin = np.where(high > low, 0.12 * (high - low), 0.5)
    (x0, y0), (x1, y1) = low - margin, high + margin
    xs, ys = np.linspace(x0, x1, GRID), np.linspace(y0, y1, GRID)
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    panels = []
    for subject, words in zip(subjects, titles or [subjects[0].name], strict=True):
        splits = _splits(subject)
        held_out = np.concatenate([np.full(len(split), number > 0) for number, split in enumerate(splits)])
        panels.append(
            Boundary(
                title=f"{words} · {subject.judged()}",
                xs=xs,
                ys=ys,
                predictions=subject.predict(_scaled(subject, grid)).reshape(GRID, GRID, -1),
                points=_points(subject),
                labels=np.concatenate([split.targets for split in splits]).reshape(-1),
                held_out=held_out,
                wrong=_wrong(subject),
            )
        )
    encoding = subjects[0].dataset.encoding  # a column of two categories is two inputs as well
    names = list(table_encoding.input_names(encoding)) if encoding is not None else ["first input", "second input"]
    first = subjects[0]
    on = f"{'right ' if first.classes else ''}on {first.held_out[0]}"
    title = f"{first.name}: {first.judged()} {on}"
    if len(subjects) > 1:
        best = max(range(len(subjects)), key=lambda n: subjects[n].goodness())
        title = f"{titles[best]} is best: {subjects[best].judged()} {on}"
    return draw_boundaries(
        panels,
        first.classes,
        names,
        (title, f"{first.held_out[0]}, n={len(first.held_out[1]):,}, {first.judged_by()}"),
        alike=encoding is None,
    )


def _wrong(subject: Subject) -> np.ndarray | None:
    """Which of the points are taken for another class; None where there are no classes."""
    import numpy as np

    if not subject.classes:
        return None
    splits = _splits(subject)
    predicted = np.concatenate([classes_of(subject.predict(split.inputs)) for split in splits])
    wrong: np.ndarray = predicted != np.concatenate([split.targets for split in splits]).reshape(-1)
    return wrong


def _points(subject: Subject) -> np.ndarray:
    """The inputs of every split in the data's unit, (n, 2)."""
    import numpy as np

    inputs, scaling = np.concatenate([split.inputs for split in _splits(subject)]), subject.dataset.input_scaling
    return inputs if scaling is None else scaling.undo(inputs)


def _scaled(subject: Subject, points: np.ndarray) -> np.ndarray:
    """Points in the data's unit as the network takes them."""
    import numpy as np

    scaling = subject.dataset.input_scaling
    return points.astype(np.float32) if scaling is None else scaling.apply(points)


def _splits(subject: Subject) -> list[Any]:
    """Train first; each split once."""
    splits = subject.splits
    rest = [splits.validation] if splits.test is None or splits.test_is_validation else [splits.validation, splits.test]
    return [splits.train, *(split for split in rest if split is not None)]
