"""What every picture shares: colours, sizes, text, and how a figure becomes a file."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from dlx.system import files

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

P = ParamSpec("P")
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8B7D00")
MARKERS = "os^Dv*PX"
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
DPI = 150
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


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """`draw` under dlx's style; a notebook's own style stays as it is."""

    @functools.wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib as mpl

        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return styled


def blank(width: float, height: float) -> Figure:
    """An empty figure, in inches, whose parts make room for each other."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Write a figure whole or not at all; the suffix, .png or .svg, says the form. Raises DiskError."""
    with files.disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as temporary:
            temporary.write_bytes(rendered(figure, path.suffix.removeprefix(".")))


def save_all(drawn: Figure | Mapping[str, bytes], stem: Path, suffix: str) -> list[Path]:
    """Write a figure, or the files of a film by their suffixes; returns where. Raises DiskError."""
    if not isinstance(drawn, Mapping):
        save(drawn, path := stem.parent / f"{stem.name}.{suffix}")
        return [path]
    paths = []
    for kind, data in drawn.items():
        path = stem.parent / f"{stem.name}.{kind}"
        with files.disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with files.replacing(path) as temporary:
                temporary.write_bytes(data)
        paths.append(path)
    return paths


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


def literal(words: str) -> str:
    """A name as it is: matplotlib would set what stands between dollars as mathematics."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in words).replace("$", r"\$")


def short(words: str, most: int = 18) -> str:
    """A name in at most `most` letters, as it is."""
    return literal(words if len(words) <= most else words[: most - 1] + "…")


def plain_ticks(axis: Any, steps: Sequence[float]) -> None:
    """A logarithmic axis with numbers as people write them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def legend(figure: Figure, handles: Sequence[Any], most: int) -> None:
    """Below the panels, in as many columns as the width has room for."""
    if handles:
        room = int(figure.get_figwidth() * 15)  # letters
        columns = max(1, min(most, len(handles), room // (max(len(h.get_label()) for h in handles) + 7)))
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def show_image(ax: Any, image: np.ndarray) -> None:
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
