"""What a person sees: tables that fit the terminal, the plan, progress and results. rich is loaded on use."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_LINES = 20
MANY = 200  # rows: a longer table is printed plainly
QUIET_SECONDS = 5.0  # in a pipe, an epoch or a short training speaks for itself; a longer one is reported on its way


def width() -> int:
    """The columns to write in: the terminal's, or 80."""
    return max(40, shutil.get_terminal_size((80, 24)).columns)


def console(error: bool = False) -> Console:
    """rich's console on standard output, or standard error; it interprets nothing in what it is given."""
    from rich.console import Console

    return Console(stderr=error, width=width(), highlight=False, soft_wrap=True, emoji=False, markup=False)


def clean(text: str) -> str:
    """Text from a file or a name, with control characters made visible: a terminal must not obey them."""
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def clean_lines(text: str) -> str:
    """The same of a text of several lines."""
    return "\n".join(clean(line) for line in text.split("\n"))


def middle(text: str, most: int) -> str:
    """`text` in at most `most` columns, shortened in the middle."""
    if len(text) <= most:
        return text
    head = (most - 1 + 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


Cells = Sequence[str]


def table(
    columns: Sequence[tuple[str, Cells]],
    numeric: Sequence[bool],
    marked: Iterable[tuple[int, int]] = (),
    error: bool = False,
) -> None:
    """Print columns under their headings; the first one names the rows.

    What does not fit the width goes into a further block under the same names. Names and words
    shorten in the middle, numbers never.
    """
    limit = width()
    best = set(marked)
    texts = [[clean(title), *map(clean, cells)] for title, cells in columns]
    widths = [max(map(len, column)) + (any(c == n for _, n in best) and c > 0) for c, column in enumerate(texts)]
    if sum(widths) + 2 * (len(widths) - 1) > limit:
        most = [max(18, limit // 3), *(28 for _ in columns[1:])]
    else:
        most = widths
    shown = [
        [middle(cell, most[c]) if not numeric[c] or row == 0 else cell for row, cell in enumerate(column)]
        for c, column in enumerate(texts)
    ]
    widths = [max(map(len, column)) + (any(c == n for _, n in best) and c > 0) for c, column in enumerate(shown)]
    blocks: list[list[int]] = [[]]
    used = widths[0]
    for c in range(1, len(columns)):
        if blocks[-1] and used + 2 + widths[c] > limit:
            blocks.append([])
            used = widths[0]
        blocks[-1].append(c)
        used += 2 + widths[c]
    if len(shown[0]) > MANY:
        _plain(shown, widths, blocks, numeric, best, error)
        return
    from rich.table import Table
    from rich.text import Text

    out = console(error)
    for number, block in enumerate(blocks):
        grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        for c in (0, *block):
            grid.add_column(Text(shown[c][0]), justify="right" if numeric[c] else "left", no_wrap=True)
        for row in range(1, len(shown[0])):
            cells = []
            for c in (0, *block):
                star = (row - 1, c) in best
                tail = "*" if star else " " if any(n == c for _, n in best) else ""
                cells.append(Text(shown[c][row] + tail, style="bold green" if star else ""))
            grid.add_row(*cells)
        if number:
            out.print()
        out.print(grid, soft_wrap=False)


def _plain(
    shown: Sequence[Cells],
    widths: Sequence[int],
    blocks: Sequence[Sequence[int]],
    numeric: Sequence[bool],
    best: set[tuple[int, int]],
    error: bool,
) -> None:
    """A table of many rows: the same columns without bold type, which rich takes seconds for."""
    stream = sys.stderr if error else sys.stdout
    starred = {column for _, column in best}
    for number, block in enumerate(blocks):
        lines = [""] if number else []
        for row in range(len(shown[0])):
            cells = []
            for c in (0, *block):
                tail = "*" if (row - 1, c) in best else " " * (c in starred and row > 0)
                cell = shown[c][row] + tail
                cells.append(cell.rjust(widths[c]) if numeric[c] else cell.ljust(widths[c]))
            lines.append("  ".join(cells).rstrip())
        print("\n".join(lines), file=stream)


def say(part: Any, parameters: dict[str, Any]) -> str:
    """A part in a phrase: its name and what differs from the defaults, required arguments by position."""
    words = []
    for name, parameter in parameters.items():
        value = part.args.get(name)
        if value is None or (not parameter.required and value == parameter.default):
            continue
        words.append(_value(value) if parameter.required else f"{name}={_value(value)}")
    return f"{part.name}({', '.join(words)})" if words else str(part.name)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, str) and os.path.isabs(value):
        near = os.path.relpath(value)
        return near if len(near) < len(value) else str(value)
    return getattr(value, "name", None) or str(value)


def wrapped(text: str) -> list[str]:
    """A paragraph in lines that fit the width."""
    import textwrap

    return textwrap.wrap(clean(" ".join(text.split())), width(), break_long_words=False)


def folded(text: str) -> str:
    """YAML whose long lines go on, further in, on the next one: what it says stays the same."""
    import textwrap

    found: list[str] = []
    for line in map(clean, text.rstrip().split("\n")):
        inner = " " * (len(line) - len(line.lstrip()) + 6)
        whole = line.replace(": ", ":\xa0")  # a name and its value stay together; `clean` leaves no such space
        found += textwrap.wrap(
            whole, width(), subsequent_indent=inner, break_long_words=False, break_on_hyphens=False
        ) or [""]
    return "\n".join(found).replace("\xa0", " ")


def lines(pairs: Iterable[tuple[str, str]], error: bool = False) -> None:
    """A heading and a text a line; long texts wrap under themselves."""
    import textwrap

    out = console(error)
    pairs = [(clean(head), text) for head, text in pairs]
    indent = max(len(head) for head, _ in pairs) + 2
    for head, text in pairs:
        wrapped = textwrap.wrap(clean(text), max(width() - indent, 20), break_long_words=False) or [""]
        from rich.text import Text

        first = Text(head.ljust(indent), style="bold")
        first.append(wrapped[0], style="not bold")
        out.print(first)
        for line in wrapped[1:]:
            out.print(" " * indent + line)


def as_json(value: Any) -> str:
    """One line of JSON."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))
    # A lone surrogate, from a name that is no UTF-8, is written as JSON's own escape for it.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class Bar:
    """Progress on standard error: a bar with the time left where there is a terminal, about twenty lines where not."""

    def __init__(self, total: int, unit: str, plain: bool = True) -> None:
        self._total, self._unit, self._plain = max(total, 1), unit, plain
        self._bar: Any = None
        self._task: Any = None
        self._said = 0
        self._started = time.monotonic()

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                BarColumn(None),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.description}"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=console(error=True), transient=True, expand=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, short: str = "", line: str = "") -> None:
        """`done` of the total; `short` stands beside the bar, `line` is what a plain line says."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=short or f"{done:,} {self._unit}")
            return
        share = done * PLAIN_LINES // self._total
        if self._plain and share > self._said:
            self._said = share
            print(line or f"{done:,} of {self._total:,} {self._unit}", file=sys.stderr, flush=True)
