"""A network as the chain of its layers, with their shapes and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlx.model.network import LayerRow, layer_table
from dlx.plots import style
from dlx.plots.style import DOTTED, LEAST, TICKS, blank, literal, look, short, styled
from dlx.plots.subject import Subject

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 36  # layers on a page; of more, those in the middle are counted
ROW = 0.27  # inches


@styled
def draw_layers(steps: Sequence[LayerRow], title: str = "") -> Figure:
    """The layers from top to bottom: name, shape of the output, and a bar of each one's share of the parameters.

    An arc at the left leads to a layer that does not follow the one above it alone.
    """
    total, count = sum(step.parameters for step in steps), len(steps)
    shown: list[LayerRow | None] = list(steps)
    if len(steps) > MOST:
        shown = [*steps[: MOST // 2], None, *steps[-MOST // 2 :]]
    height = ROW * (len(shown) + 1) + 0.7
    figure = blank(style.WIDTH, height)
    ax = figure.subplots()
    ax.axis("off")
    ax.set_xlim(0, style.WIDTH)
    ax.set_ylim(len(shown) - 0.4, -1.4)
    for x, words, side in ((0.75, "layer", "left"), (4.1, "output", "right"), (4.35, "parameters", "left")):
        ax.text(x, -0.95, words, ha=side, va="center", fontsize=TICKS, color=look().secondary)
    largest = max((step.parameters for step in steps), default=0) or 1
    for row, step in enumerate(shown):
        if step is None:
            ax.text(0.85, row, f"… {count - MOST} more", va="center", fontsize=TICKS, color=look().secondary)
            continue
        _step(ax, row, step, largest, total)
    rows = {step.name: row for row, step in enumerate(shown) if step is not None}
    _arrows(ax, shown, rows)
    biggest = max(steps, key=lambda step: step.parameters)
    most = f", {100 * biggest.parameters / total:.0f} % of them in {biggest.name}" if total else ""
    style.headline(figure, f"{title}: {count} layers, {total:,} parameters{most}")
    style.footer(figure, "output: the shape of one example, channels last")
    return figure


def _step(ax: Any, row: int, step: LayerRow, largest: int, total: int) -> None:
    """One layer: its name and class in a box, its shape, its bar."""
    from matplotlib.patches import FancyBboxPatch

    colour = look().train if step.parameters else look().secondary
    box = FancyBboxPatch((0.75, row - 0.36), 2.35, 0.72, boxstyle="round,pad=0,rounding_size=0.1", fc="none", ec=colour,
                         lw=1.0, mutation_aspect=2.0)  # fmt: skip
    ax.add_patch(box)
    plain = step.name.replace("_", "").rstrip("0123456789").lower() == step.kind.lower()
    ax.text(0.83, row, short(step.name, 20), va="center", fontsize=TICKS, color=look().ink)
    if not plain:
        ax.text(
            3.04,
            row,
            short(step.kind.removeprefix("Activation "), 16),
            va="center",
            ha="right",
            fontsize=LEAST,
            color=look().secondary,
        )
    ax.text(4.1, row, literal(step.shape), va="center", ha="right", fontsize=TICKS, color=look().ink)
    if step.parameters:
        width = 1.6 * step.parameters / largest
        ax.barh(row, width, 0.5, left=4.35, color=look().train)
        share = f"{step.parameters:,} · {100 * step.parameters / total:.1f} %"
        ax.text(4.42 + width, row, share, va="center", fontsize=TICKS, color=look().secondary)


def _arrows(ax: Any, shown: Sequence[LayerRow | None], rows: dict[str, int]) -> None:
    """From each layer to what follows it: down, or in an arc at the left past those between."""
    for row, step in enumerate(shown):
        if step is None:
            continue
        for start in sorted({rows[name] for name in step.before if name in rows}):
            if start == row - 1:
                ax.annotate("", (1.9, row - 0.36), (1.9, start + 0.36),
                            arrowprops={"arrowstyle": "-", "color": look().secondary, "lw": 1.0})  # fmt: skip
            else:
                depth = min(0.12 + 0.05 * (row - start), 0.6)
                xs, ys = [0.75, 0.75 - depth, 0.75 - depth, 0.75], [start, start + 0.2, row - 0.2, row]
                ax.plot(xs, ys, color=look().validation, lw=1.0, ls="-" if row - start > 1 else DOTTED, zorder=1)


def layers(subject: Subject) -> Figure:
    """The chain of a network's layers."""
    return draw_layers(layer_table(subject.network), subject.name)
