"""Charts as SVG: lines, dots and cells without a library, in the colours of docs/look.md by classes of page.css.

A colour is a class (train, val, c0 to c5, ink, dim), so that light and dark are the page's own affair.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dlx.system.terminal import clean_lines

WIDTH, HEIGHT = 460, 240
LEFT, RIGHT, TOP, BOTTOM = 56, 24, 10, 34
COLOURS = 6


def text(words: str) -> str:
    """Words as HTML and SVG hold them: nothing in them is markup, and none turns the writing of others around."""
    return html.escape(clean_lines(words), quote=True)


@dataclass(frozen=True)
class Axis:
    """A range of values, linear or of powers of ten, in so many pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * ((at - low) / (high - low) if high > low else 0.5)

    def ticks(self) -> list[float]:
        """Round numbers in the range, five or so."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            steps = (1.0,) if last - first > 3 else (1.0, 2.0, 5.0)
            made = [step * 10.0**power for power in range(first, last + 1) for step in steps]
            return [tick for tick in made if self.low <= tick <= self.high * 1.0001]
        rough = (self.high - self.low) / 4 or 1.0
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= rough * 0.999)
        count = range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        return [round(step * number, 12) for number in count]


def across(low: float, high: float, log: bool = False) -> Axis:
    """The axis from left to right."""
    return Axis(low, high, LEFT, WIDTH - RIGHT, log)


def up(low: float, high: float, log: bool = False) -> Axis:
    """The axis from bottom to top."""
    return Axis(low, high, HEIGHT - BOTTOM, TOP, log)


def label(value: float, share: bool = False) -> str:
    """A tick: 0.05, 20, 30,000, 90 %."""
    if share:
        return f"{100 * value:g} %"
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e7 else f"{value:.3g}"
    return f"{value:.0e}".replace("e-0", "e-") if 0 < abs(value) < 1e-3 else f"{value:g}"


def circle(kind: str, at: tuple[float, float], radius: float) -> str:
    """A dot or a ring at a place in pixels."""
    return f'<circle class="{kind}" cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius}"/>'


def stroke(kind: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    """A straight line between two places in pixels."""
    return f'<line class="{kind}" x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"/>'


def word(words: str, at: tuple[float, float], anchor: str = "start", kind: str = "tick") -> str:
    """Words at a place in pixels."""
    return f'<text class="{kind}" x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}">{text(words)}</text>'


def frame(x: Axis, y: Axis, names: tuple[str, str], share: bool = False, whole: bool = False) -> Iterator[str]:
    """The grid, the ticks and the names of two axes; whole: of x whole numbers alone."""
    for tick in y.ticks():
        at = y.place(tick)
        yield stroke("grid", (LEFT, at), (WIDTH - RIGHT, at))
        yield word(label(tick, share), (LEFT - 6, at + 3.5), "end")
    for tick in x.ticks():
        if not whole or tick == int(tick):
            yield word(label(tick), (x.place(tick), HEIGHT - 18), "middle")
    yield word(names[0][:40], (WIDTH - RIGHT, HEIGHT - 4), "end")
    yield word(names[1][:40], (4, HEIGHT - 4))


def svg(parts: Sequence[str] | Iterator[str], title: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    """A picture with a title for who cannot see it."""
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{text(title)}">'
    return f"{head}<title>{text(title)}</title>{''.join(parts)}</svg>"


@dataclass(frozen=True)
class Line:
    """A series: the class of its colour, dashed for train, its points, and the one that is ringed."""

    key: str
    colour: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False
    ring: tuple[float, float] | None = None


def lines(series: Sequence[Line], title: str, x_name: str, share: bool = False) -> tuple[str, bool]:
    """(a chart of lines; whether it has a logarithmic twin, which is hidden)"""
    values = [y for line in series for _, y in line.points]
    places = [x for line in series for x, _ in line.points]
    if not values:
        return "", False
    positive = [value for value in values if value > 0]
    logs = not share and len(positive) == len(values) and max(values) / max(min(values), 1e-300) > 5
    x = across(min(places), max(places))
    parts = [f'<g class="linear">{"".join(_lines(series, x, _height(values, share), x_name, share))}</g>']
    if logs:
        twin = up(min(values), max(values), log=True)
        parts.append(f'<g class="log">{"".join(_lines(series, x, twin, x_name, share))}</g>')
    return svg(parts, title), logs


def _height(values: Sequence[float], share: bool) -> Axis:
    """Shares up to 100 %, from 0 or from where all are above 90 %; others from 0 where that is not far."""
    low, high = min(values), max(values)
    if share:
        return up(math.floor(20 * min(low, 0.9)) / 20 if low > 0.9 else 0.0, 1.0)
    low = 0.0 if 0 <= low < 0.5 * high else low
    return up(low, high if high > low else low + 1)


def _lines(series: Sequence[Line], x: Axis, y: Axis, x_name: str, share: bool) -> Iterator[str]:
    yield from frame(x, y, (x_name, ""), share, whole=True)
    for line in series:
        places = [(x.place(a), y.place(max(b, y.low))) for a, b in line.points]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        dashes = ' stroke-dasharray="5 3"' if line.dashed else ""
        yield f'<g data-key="{text(line.key)}"><polyline class="line {line.colour}" points="{points}"{dashes}/>'
        if len(places) == 1:
            yield circle(f"dot {line.colour}", places[0], 3)
        if line.ring is not None:
            yield circle(f"ring {line.colour}", (x.place(line.ring[0]), y.place(max(line.ring[1], y.low))), 4.5)
        yield "</g>"


def dots(points: Sequence[tuple[float, float]], title: str, names: tuple[str, str]) -> str:
    """A chart of dots on two axes of one range, with a line where they agree."""
    values = [value for point in points for value in point]
    low, high = min(values), max(values) if max(values) > min(values) else min(values) + 1
    x, y = across(low, high), up(low, high)
    parts = [*frame(x, y, names), stroke("guess", (x.place(low), y.place(low)), (x.place(high), y.place(high)))]
    parts += [circle("dot c0 soft", (x.place(a), y.place(b)), 3) for a, b in points]
    return svg(parts, title)


def settings(places: Sequence[float], words: Sequence[str], values: Sequence[float], names: tuple[str, str]) -> str:
    """A figure against a setting: a dot a run; `words` are what stands at the places, where they are no numbers."""
    share = all(0 <= value <= 1 for value in values)
    low, high = min(places), max(places)
    logs = not words and low > 0 and high / low > 20
    room = 0.06 * ((high - low) or 1.0)
    x = across(low / 1.3, high * 1.3, log=True) if logs else across(low - room, high + room)
    y = _height(values, share)
    ticks = frame(x, y, (names[0], ""), share, whole=bool(words))
    if words:
        known = dict(zip(places, words, strict=True))
        ticks = (part for part in ticks if 'text-anchor="middle"' not in part)
        named = [word(one[:14], (x.place(place), HEIGHT - 18), "middle") for place, one in known.items()]
    else:
        named = []
    drawn = [circle("dot c0 soft", (x.place(a), y.place(b)), 4) for a, b in zip(places, values, strict=True)]
    return svg([*ticks, *named, *drawn], f"{names[1]} against {names[0]}")


def reliability(bins: Sequence[Mapping[str, float]], title: str) -> str:
    """How often an answer was right (bars) against how sure the network was (marks; the diagonal is perfect)."""
    x, y = across(0, 1), up(0, 1)
    parts = list(frame(x, y, ("confidence", "share that is right"), share=True))
    for one in bins:
        left, right = x.place(one["low"]) + 1, x.place(one["high"]) - 1
        top, sure = y.place(one["right"]), y.place(one["sure"])
        box = f'x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{y.place(0) - top:.1f}"'
        parts += [f'<rect class="bar" {box}/>', stroke("mark", (left, sure), (right, sure))]
    parts.append(stroke("guess", (x.place(0), y.place(0)), (x.place(1), y.place(1))))
    return svg(parts, title)


def confusion(counts: Sequence[Sequence[int]], names: Sequence[str], title: str) -> str:
    """How often each class was taken for each: a cell a pair, deep by the root of its share of the true class."""
    count = len(names)
    cell = max(12, min(34, 420 // max(count, 1)))
    numbered = max(map(len, names)) > 3  # then columns have the numbers that stand beside the rows
    beside = [f"{short[:14]} {number}" if numbered else short for number, short in enumerate(names, 1)]
    above = [f"{number}" if numbered else short for number, short in enumerate(names, 1)]
    left, top = min(8 * max(map(len, beside)) + 12, 130), 24
    parts = [word(above[c] if cell >= 20 else "", (left + cell * (c + 0.5), 16), "middle") for c in range(count)]
    for r, row in enumerate(counts):
        of = max(sum(row), 1)
        parts.append(word(beside[r], (left - 6, top + cell * (r + 0.5) + 4), "end"))
        for c, number in enumerate(row):
            if not number:
                continue
            box = f'x="{left + cell * c}" y="{top + cell * r}" width="{cell - 1}" height="{cell - 1}"'
            parts.append(
                f'<rect class="{"hit" if r == c else "miss"}" {box} fill-opacity="{(number / of) ** 0.5:.2f}"/>'
            )
            if cell >= 20:
                kind = "count on" if number / of > 0.4 else "count"
                parts.append(word(f"{number}", (left + cell * (c + 0.5), top + cell * (r + 0.5) + 4), "middle", kind))
    return svg(parts, title, left + cell * count + 8, top + 6 + cell * count)
