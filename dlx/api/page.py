"""A run and a comparison as a notebook shows them: small pages of HTML, every name in them escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlx.plots import style
from dlx.runs.history import thinned
from dlx.runs.metrics import figure_text, is_figure, is_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT, POINTS = 260, 110, 120  # of a curve's panel in pixels; more epochs are thinned
COLOURS = {"train": (style.LIGHT.train, "4 3"), "val": (style.LIGHT.validation, "none")}
STYLE = "text-align:right;padding:2px 10px;white-space:nowrap"


def summary(status: str, metrics: Mapping[str, Any], info: Mapping[str, Any]) -> str:
    """How a run ended, and its monitored figure."""
    monitor = str(info.get("monitor", ""))
    value = metrics.get(monitor)
    return (
        f"{status}, {monitor} {figure_text(monitor, float(value))}"
        if is_number(value) and value is not None
        else status
    )


def of_run(
    name: str, status: str, metrics: Mapping[str, Any], info: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> str:
    """A run: how it ended, its figures a split a row, and the curve of its loss and of its first metric."""
    figures = {key: value for key, value in metrics.items() if is_figure(key) and is_number(value)}
    names = list(dict.fromkeys(key.partition("_")[2] for key in figures if not key.startswith("last_")))
    splits = [split for split in ("train", "val", "test") if any(key.startswith(f"{split}_") for key in figures)]
    body = [[split, *(_cell(name, figures.get(f"{split}_{name}")) for name in names)] for split in splits]
    panels = "".join(panel(title, rows) for title in list(dict.fromkeys(["loss", *names]))[:2])
    head = f"<b>{html.escape(name)}</b> {html.escape(summary(status, metrics, info))}"
    return f"<div><p>{head}</p>{table(['', *names], body) if body else ''}<div>{panels}</div></div>"


def _cell(name: str, value: Any) -> str:
    return "–" if value is None else figure_text(name, float(value))


def of_figure(figure: Figure) -> tuple[bytes, dict[str, int]]:
    """A picture: its .png, and the size in pixels at which it is shown, two thirds of what it has."""
    data, (width, height) = style.png(figure)
    return data, {"width": width * 2 // 3, "height": height * 2 // 3}


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table; the first column names its rows."""
    titles = "".join(f'<th style="{STYLE}">{html.escape(title)}</th>' for title in head)
    lines = "".join(
        "<tr>"
        + "".join(
            f'<{tag} style="{STYLE}">{html.escape(cell)}</{tag}>'
            for tag, cell in zip(["th", *("td" for _ in line[1:])], line, strict=True)
        )
        + "</tr>"
        for line in body
    )
    return f"<table><tr>{titles}</tr>{lines}</table>"


def panel(figure: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The curves of a figure over the epochs, train dashed and validation solid, as SVG; empty where there are none."""
    rows = thinned(rows, POINTS)
    series = {
        split: [(row["epoch"], row.get(f"{split}_{figure}")) for row in rows if is_number(row.get(f"{split}_{figure}"))]
        for split in COLOURS
    }
    values = [float(value) for points in series.values() for _, value in points if value is not None]
    if not values:
        return ""
    low, high = min(values), max(values)
    first, last = rows[0]["epoch"], rows[-1]["epoch"]
    lines = ""
    for split, points in series.items():
        colour, dashes = COLOURS[split]
        places = " ".join(
            f"{8 + (WIDTH - 16) * _share(epoch, first, last):.1f},"
            f"{HEIGHT - 18 - (HEIGHT - 40) * _share(value, low, high):.1f}"
            for epoch, value in points
        )
        style = f'fill="none" stroke="{colour}" stroke-width="1.6" stroke-dasharray="{dashes}"'
        lines += f'<polyline points="{places}" {style}/>'
    words = f"{figure}  {figure_text(figure, low)} to {figure_text(figure, high)}"
    texts = (
        f'<text x="8" y="12" font-size="11" fill="currentColor">{html.escape(words)}</text>'
        f'<text x="8" y="{HEIGHT - 4}" font-size="9" fill="currentColor">epoch {first} to {last}: '
        "train dashed, validation solid</text>"
    )
    return f'<svg width="{WIDTH}" height="{HEIGHT}" role="img">{texts}{lines}</svg>'


def _share(value: Any, low: Any, high: Any) -> float:
    """Where a value lies between two, from 0 to 1."""
    return 0.5 if math.isclose(float(low), float(high)) else (float(value) - low) / (high - low)
