"""What a person sees: text and tables that fit the terminal. rich is loaded on use."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_LINES = 20
QUIET_SECONDS = 5.0  # in a pipe, an epoch or a short training speaks for itself; a longer one is reported on its way


# What colours stand for, in the terminal's own sixteen; docs/look.md has the table.
ERROR, DOUBT, BETTER, PROGRESS, SECONDARY = "red", "yellow", "green", "blue", "dim"
HEADING = ANSWER = "bold"


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


def cells(text: str) -> int:
    """The columns that a text takes: two for each Chinese, Japanese or Korean character."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def padded(text: str, width: int, right: bool = False) -> str:
    """`text` with spaces up to `width` columns, behind it or, to stand at the right, before it."""
    space = " " * (width - cells(text))
    return space + text if right else text + space


def shortened(text: str, most: int) -> str:
    """`text` in at most `most` columns, shortened in the middle."""
    if cells(text) <= most:
        return text
    head = most // 2
    if cells(text) == len(text):
        return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"
    from rich.cells import set_cell_size

    tail = set_cell_size(text[::-1], most - 1 - head).rstrip()[::-1]
    return f"{set_cell_size(text, head).rstrip()}…{tail}"


Cells = Sequence[str]
UNLIMITED = 100_000  # columns


def table_width() -> int:
    """The columns that a table may take: in a pipe each row is one line, unless COLUMNS is set."""
    return width() if sys.stdout.isatty() or "COLUMNS" in os.environ else UNLIMITED


def column_width(title: str, column: Cells) -> int:
    """How wide a column of a table is."""
    return max(map(cells, (title, *column)))


def fits(columns: Sequence[tuple[str, Cells]], stars: int = 0) -> bool:
    """Whether a table, so many columns of which have a mark, fits beside itself into one block."""
    widths = [column_width(title, column) for title, column in columns]
    return sum(widths) + 2 * (len(widths) - 1) + stars <= table_width()


def blocks(columns: Sequence[tuple[str, Cells]]) -> int:
    """How many blocks a table takes."""
    return len(_blocks([column_width(title, column) for title, column in columns]))


# 0.05, 1,739, 97.78 %, 0.163 ± 0.012, 24 (12–40), nan, and what stands for one that is not there
ONE = r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?inf|nan"
NUMBER = rf"–|(?:{ONE})(?: ± (?:{ONE}))?(?: %)?(?: \((?:{ONE})–(?:{ONE})\))?(?: \(\d+ of \d+\))?"


def are_numbers(column: Cells) -> bool:
    """Whether every cell of a column is a number, or stands for one that is not there."""
    return all(re.fullmatch(NUMBER, cell) for cell in column)


Line = list[tuple[str, str]]  # (text, style) of each cell


def table(
    columns: Sequence[tuple[str, Cells]],
    numeric: Sequence[bool],
    marked: Iterable[tuple[int, int]] = (),
    error: bool = False,
    answer: int | None = None,
    failed: Iterable[int] = (),
) -> None:
    """Print columns under their headings; the first one names the rows. `marked`: (row, column) of the best, with a *.

    answer: the row that answers, which is bold; failed: rows of what went wrong, in red.
    What does not fit the width goes into a further block under the same names. Names and words
    shorten in the middle, numbers never.
    """
    best, wrong = set(marked), set(failed)
    stars = [any(c == n for _, n in best) for c in range(len(columns))]
    texts = [[clean(title), *map(clean, column)] for title, column in columns]
    widths = [max(map(cells, column)) + star for column, star in zip(texts, stars, strict=True)]
    if sum(widths) + 2 * (len(widths) - 1) > table_width():
        most = [max(18, table_width() // 3), *(28 for _ in columns[1:])]
        beside = table_width() - sum(min(w, m) + 2 for w, m in zip(widths[:-1], most[:-1], strict=True))
        alone = table_width() - min(widths[0], most[0]) - 2  # in a block of its own
        most[-1] = beside if beside >= min(widths[-1], 28) else max(28, alone)
        texts = [
            [shortened(cell, most[c]) if not numeric[c] or row == 0 else cell for row, cell in enumerate(column)]
            for c, column in enumerate(texts)
        ]
        widths = [max(map(cells, column)) + star for column, star in zip(texts, stars, strict=True)]
    lines: list[Line] = []
    for block in _blocks(widths):
        lines += [[]] if lines else []
        for row in range(len(texts[0])):
            line: Line = []
            for c in (0, *block):
                starred = (row - 1, c) in best
                cell = texts[c][row] + ("*" if starred else " " if stars[c] and row else "")
                style = HEADING if row == 0 else f"bold {BETTER}" if starred else ""
                style = style or (ANSWER if row - 1 == answer else ERROR if row - 1 in wrong else "")
                line.append((padded(cell, widths[c], numeric[c]), style))
            lines.append(line)
    _print(lines, error)


def _blocks(widths: Sequence[int]) -> list[list[int]]:
    """The columns in blocks that fit the width, each beside the first column."""
    blocks: list[list[int]] = [[]]
    used = widths[0]
    for c in range(1, len(widths)):
        if blocks[-1] and used + 2 + widths[c] > table_width():
            blocks.append([])
            used = widths[0]
        blocks[-1].append(c)
        used += 2 + widths[c]
    return blocks


def _print(lines: Sequence[Line], error: bool) -> None:
    """Lines of cells, with their styles where the stream is a terminal."""
    stream = sys.stderr if error else sys.stdout
    if not stream.isatty():
        print("\n".join("  ".join(text for text, _ in line).rstrip() for line in lines), file=stream)
        return
    from rich.text import Text

    styled = Text("\n").join(Text("  ").join(Text(text, style) for text, style in line) for line in lines)
    console(error).print(styled)


def phrase(part: Any, parameters: dict[str, Any]) -> str:
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
    if isinstance(value, dict) and len(value) == 1:
        ((name, argument),) = value.items()
        return f"{name}({_value(argument)})"
    if isinstance(value, str) and os.path.isabs(value):
        near = os.path.relpath(value)
        return near if len(near) < len(value) else str(value)
    return getattr(value, "name", None) or str(value)


def share_bar(share: float, most: int = 12) -> str:
    """A share as a bar of eighths, and in per cent."""
    eighths = max(1, round(8 * most * share))
    return f"{'█' * (eighths // 8)}{' ▏▎▍▌▋▊▉'[eighths % 8].strip()} {100 * share:.1f} %"


def wrapped(text: str) -> list[str]:
    """A paragraph in lines that fit the width."""
    import textwrap

    return textwrap.wrap(clean(" ".join(text.split())), width(), break_long_words=False)


def folded(text: str) -> str:
    """YAML whose long lines continue, further in, on the next one: its meaning stays the same."""
    import textwrap

    lines: list[str] = []
    for line in map(clean, text.rstrip().split("\n")):
        inner = " " * (len(line) - len(line.lstrip()) + 6)
        whole = line.replace(": ", ":\xa0")  # a name and its value stay together; `clean` leaves no such space
        lines += textwrap.wrap(
            whole, width(), subsequent_indent=inner, break_long_words=False, break_on_hyphens=False
        ) or [""]
    return "\n".join(lines).replace("\xa0", " ")


def fields(
    pairs: Iterable[tuple[str, str]], error: bool = False, most: int = 80, least: int = 0, style: str = ""
) -> None:
    """A heading and a text a line; long texts wrap under themselves. Headings wider than `most` stand alone.

    least: the columns that headings have at least, so that several blocks stand in one line; style: of the texts.
    """
    import textwrap

    from rich.text import Text

    out = console(error)
    pairs = [(clean(head), text) for head, text in pairs]
    indent = max([least, *(cells(head) + 2 for head, _ in pairs if cells(head) <= most)])
    for head, text in pairs:
        if cells(head) > most:
            out.print(Text(head, style=HEADING))
            head = ""
        wrapped = textwrap.wrap(clean(text), max(width() - indent, 20), break_long_words=False) or [""]
        first = Text(padded(head, indent), style=style or HEADING)
        first.append(wrapped[0], style=style or "not bold")
        out.print(first)
        for line in wrapped[1:]:
            out.print(Text(" " * indent + line, style=style))


@functools.cache
def moving() -> Console:
    """The console of what moves, on standard error, also while file descriptor 2 leads elsewhere."""
    from rich.console import Console

    stream = os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors=sys.stderr.errors)
    return Console(file=stream, highlight=False, soft_wrap=True, emoji=False, markup=False)


@contextlib.contextmanager
def doing(words: str) -> Iterator[None]:
    """In a terminal, say what is being done while nothing else is shown."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.live import Live
    from rich.spinner import Spinner

    spinner = Spinner("dots" if "utf" in moving().encoding else "line", f"{words} …")
    # Nothing is redirected: what is imported within would keep it.
    with Live(spinner, console=moving(), transient=True, redirect_stdout=False, redirect_stderr=False):
        yield


class Bar:
    """Progress on standard error: a bar with the time left where there is a terminal, about twenty lines where not."""

    def __init__(self, total: int, unit: str, plain: bool = True) -> None:
        self._total, self._unit, self._plain = max(total, 1), unit, plain
        self._bar: Any = None
        self._task: Any = None
        self._reported = 0
        self._started = time.monotonic()

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                BarColumn(None, "bright_black", PROGRESS, PROGRESS, PROGRESS),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.description}"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=moving(), transient=True, expand=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=None)
        return self

    def wait(self, words: str) -> None:
        """In a terminal, say what happens until the first `update`; the bar moves to and fro."""
        if self._bar is not None:
            self._bar.update(self._task, description=words)

    def line(self, done: int, text: str) -> None:
        """A line that stays, above the bar where there is one; of many about twenty."""
        share = done * PLAIN_LINES // self._total
        if share <= self._reported:
            return
        self._reported = share
        if self._bar is not None:
            self._bar.console.print(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, short: str = "", line: str = "") -> None:
        """`done` of the total; `short` stands beside the bar, `line` is the whole of a plain line."""
        if self._bar is not None:
            words = short or f"{done:,} {self._unit}"
            self._bar.update(self._task, total=self._total, completed=done, description=words)
        elif self._plain:
            self.line(done, line or f"{done:,} of {self._total:,} {self._unit}")
