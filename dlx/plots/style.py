"""What every picture shares: colours, sizes, text, and how a figure becomes a file."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from dlx.system import files

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

P = ParamSpec("P")


@dataclass(frozen=True)
class Look:
    """The colours of the roles, on one ground."""

    background: str
    ink: str
    secondary: str
    grid: str
    train: str
    validation: str
    better: str
    guess: str


LIGHT = Look("#FFFFFF", "#1F2328", "#57606A", "#E5E8EB", "#0072B2", "#D55E00", "#009E73", "#8C959F")
DARK = Look("#16191D", "#E6E8EB", "#A0A8B0", "#2A2F36", "#5AB0F0", "#F28C4A", "#4CC38A", "#8C959F")
_look: ContextVar[Look] = ContextVar("look", default=LIGHT)
_card: ContextVar[bool] = ContextVar("card", default=False)
# Ordered settings, from the smallest value to the largest, on a light and on a dark ground.
RAMP = ("#6BA5D7", "#3F86C3", "#1F68A8", "#0F4C82", "#08305A")
RAMP_ON_DARK = ("#3F86C3", "#5AB0F0", "#8CC8F6", "#C5E2FB")
# What has no order: the colours of Okabe and Ito without black and yellow.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
PALETTE_ON_DARK = ("#5AB0F0", "#F28C4A", "#4CC38A", "#D99BC0", "#F0B94A", "#A9D6FA")
MARKERS = "os^Dv*PX"
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
DASHED, DOTTED = (0, (4, 2)), (0, (1, 1.5))
WIDTH, CARD = 7.2, 4.0  # inches
HEADLINE, TITLE, TICKS, FOOTER, LEAST = 11, 9, 8, 7, 6.5  # points
DPI = 200
LONGEST = 44  # letters of a name in a headline


def look() -> Look:
    """The colours that pictures are drawn with."""
    return _look.get()


def palette() -> tuple[str, ...]:
    """The colours of what has no order."""
    return PALETTE if look() is LIGHT else PALETTE_ON_DARK


@contextlib.contextmanager
def on_dark(dark: bool = True) -> Iterator[None]:
    """Pictures that are drawn within have a dark ground, if that is wanted."""
    token = _look.set(DARK if dark else LIGHT)
    try:
        yield
    finally:
        _look.reset(token)


@contextlib.contextmanager
def on_card() -> Iterator[None]:
    """Pictures that are drawn within are small, for a card of TensorBoard: a panel a row, letters as large as ever."""
    token = _card.set(True)
    try:
        yield
    finally:
        _card.reset(token)


def width() -> float:
    """How wide a picture is, in inches."""
    return CARD if _card.get() else WIDTH


def panels_a_row() -> int:
    """How many panels stand side by side at most."""
    return 1 if _card.get() else 2


def _settings() -> dict[Any, Any]:
    """Matplotlib's, for the present look."""
    now = look()
    return {
        "font.size": TITLE,
        "axes.titlesize": TITLE,
        "axes.labelsize": TICKS,
        "xtick.labelsize": TICKS,
        "ytick.labelsize": TICKS,
        "legend.fontsize": TICKS,
        "figure.facecolor": now.background,
        "axes.facecolor": now.background,
        "savefig.facecolor": now.background,
        "text.color": now.ink,
        "axes.labelcolor": now.secondary,
        "axes.edgecolor": now.secondary,
        "xtick.color": now.secondary,
        "ytick.color": now.secondary,
        "axes.titlecolor": now.ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "axes.unicode_minus": False,
        "grid.color": now.grid,
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.4,
        "svg.hashsalt": "dlx",
        "svg.fonttype": "none",  # text in .svg and .pdf is text
        "pdf.fonttype": 42,
    }


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """`draw` under dlx's style; a notebook's own style stays as it is."""

    @functools.wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib as mpl

        with mpl.rc_context(_settings()):
            return draw(*args, **kwargs)

    return styled


def headline(figure: Figure, words: str) -> None:
    """The answer, in a sentence, above the panels."""
    figure.suptitle(
        _fitted(figure, words, HEADLINE, 0.66),
        fontsize=HEADLINE,
        fontweight="bold",
        x=0.01,
        ha="left",
        color=look().ink,
    )


def footer(figure: Figure, words: str) -> None:
    """What the marks mean, and of what the figures are, below the panels."""
    figure.supxlabel(_fitted(figure, words, FOOTER, 0.56), fontsize=FOOTER, x=0.01, ha="left", color=look().secondary)


def _fitted(figure: Figure, words: str, points: float, letter: float) -> str:
    """Words in lines that are no longer than the figure is wide; `letter`: its width, as a share of the points."""
    import textwrap

    most = int(72 * figure.get_figwidth() / (points * letter))
    longest = min(LONGEST, int(0.9 * most))
    whole = " ".join(word if len(word) <= longest else short(word, longest) for word in words.split(" "))
    return "\n".join(textwrap.wrap(literal(whole), most, break_long_words=False)) or ""


def name_upright(ax: Any, words: str) -> None:
    """What the vertical axis shows, above it, so that nobody turns the head."""
    ax.set_title(words, loc="left", fontsize=TICKS, color=look().secondary)


def scale_bar(figure: Figure, mapped: Any, axes: Any, words: str) -> None:
    """The colours of values, under what they are."""
    figure.colorbar(mapped, ax=axes, shrink=0.8).ax.set_title(words, fontsize=FOOTER, loc="left")


def number_axis(axis: Any) -> None:
    """An axis of plain numbers: 50,000 and 0.05."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def number(value: float) -> str:
    """A number in a picture, three digits of it: 3,380, 0.0235."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percent_axis(axis: Any) -> None:
    """An axis of shares, as 80 %."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))


Names = list[tuple[float, str, str]]  # what stands at the ends of lines: the height in the data, a name, a colour


def end_labels(ax: Any, entries: Names, height: float | None = None) -> None:
    """Names at the right of an axis, each as near as it can be to the height where its line ends.

    height: of the panel, in inches, where it is one of unlike ones. Names are pushed apart so that none lies on
    another.
    """
    low, high = ax.get_ylim()
    up = ax.transScale.transform
    scaled = [(up((1, value))[1] - up((1, low))[1]) / (up((1, high))[1] - up((1, low))[1]) for value, *_ in entries]
    step = 1.25 * TICKS / (72 * (height or ax.figure.get_figheight() * ax.get_position().height))
    order = sorted(range(len(entries)), key=lambda n: scaled[n])
    heights: dict[int, float] = {}
    floor = -1.0
    for number in order:
        floor = heights[number] = max(min(max(scaled[number], 0.0), 1.0), floor + step)
    ceiling = 1.0
    for number in reversed(order):
        ceiling = heights[number] = min(heights[number], ceiling)
        ceiling -= step
    for number, (_, name, colour) in enumerate(entries):
        ax.text(1.03, heights[number], literal(name), transform=ax.transAxes, color=colour, fontsize=TICKS, va="center")


def blank(width: float, height: float) -> Figure:
    """An empty figure, in inches, whose parts make room for each other."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Write a figure whole or not at all; the suffix, .png, .svg or .pdf, says the form. Raises DiskError."""
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


# What would make the bytes of two equal pictures differ.
UNDATED: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def rendered(figure: Figure, form: str = "png") -> bytes:
    """A figure as the bytes of a .png, .svg or .pdf file; the same figure gives the same bytes."""
    import io

    import matplotlib as mpl

    stream = io.BytesIO()
    with mpl.rc_context(_settings()), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # names in scripts that the font lacks become boxes
        figure.savefig(stream, format=form, dpi=DPI if not _card.get() else DPI / 1.6, metadata=UNDATED[form])
    return stream.getvalue()


def png(figure: Figure) -> tuple[bytes, tuple[int, int]]:
    """A figure as the bytes of a .png file, and its (width, height) in pixels."""
    data = rendered(figure)
    # A PNG begins with its signature and the header chunk, whose first fields are the two.
    return data, (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))


def literal(words: str) -> str:
    """A name as it is: matplotlib would set what stands between dollars as mathematics."""
    import re

    plain = "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in words)
    return re.sub(r"(?<!\\)\$", r"\\$", plain)  # once, however often it is called


def short(words: str, most: int = 18) -> str:
    """A name in at most `most` letters, shortened in the middle: its end, a number, tells it from others."""
    if len(words) <= most:
        return literal(words)
    tail = (most - 1) // 2
    return literal(f"{words[: most - 1 - tail]}…{words[len(words) - tail :]}")


def distinct(names: Sequence[str], most: int = 16) -> list[str]:
    """Class names in at most so many letters, no two of them alike, without words that all begin or end with."""
    words = [name.replace("_", " ").split() for name in names]
    while len(words) > 1 and all(len(one) > 1 for one in words) and len({one[0] for one in words}) == 1:
        words = [one[1:] for one in words]
    while len(words) > 1 and all(len(one) > 1 for one in words) and len({one[-1] for one in words}) == 1:
        words = [one[:-1] for one in words]
    plain = [" ".join(one) or name for one, name in zip(words, names, strict=True)]
    cut = [short(name, most) for name in plain]
    if len(set(cut)) < len(set(plain)):  # the ends tell them apart
        cut = [
            literal(f"{name[: most // 2 - 1]}…{name[-(most // 2) :]}" if len(name) > most else name) for name in plain
        ]
    if len(set(cut)) < len(cut):
        cut = [f"{number} {name}" for number, name in enumerate(cut, 1)]
    return cut


def plain_ticks(axis: Any, steps: Sequence[float]) -> None:
    """A logarithmic axis with numbers as people write them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def legend(figure: Figure, handles: Sequence[Any], most: int, words: str = "") -> None:
    """Below the panels, in as many columns as the width has room for; under it the footer."""
    height, footer = figure.get_figheight(), _fitted(figure, words, FOOTER, 0.56)
    foot = 0.06 + 0.14 * (footer.count("\n") + 1) * bool(footer)  # inches
    room = int(figure.get_figwidth() * 15)  # letters
    longest = max((len(handle.get_label()) for handle in handles), default=0)
    columns = max(1, min(most, len(handles), room // (longest + 5)))
    if len(handles) <= most and sum(len(handle.get_label()) + 6 for handle in handles) <= room:
        columns = max(1, len(handles))
    strip = foot + 0.22 * -(-len(handles) // columns) + 0.04
    figure.get_layout_engine().set(rect=(0, strip / height, 1, 1 - strip / height))  # type: ignore[union-attr, call-arg]
    figure.text(0.01, 0.05 / height, footer, va="bottom", fontsize=FOOTER, color=look().secondary)
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, foot / height), ncols=columns, frameon=False,
                  borderaxespad=0)  # fmt: skip


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
