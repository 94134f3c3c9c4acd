"""What went wrong, on standard error: in a terminal with a mark, the file's line with a caret, and words that wrap."""

from __future__ import annotations

import contextlib
import linecache
import re
import sys
import textwrap

from dlx.system import terminal

PLACE = r"(?P<where>(?P<path>[^\n]+?):(?P<line>\d+)(?::(?P<column>\d+))?): (?P<rest>.*)"
MEANT = r" \(did you mean (?P<meant>.+?)\?\)"


def show(words: object, doubt: bool = False) -> None:
    """Print an error, or a text of several: a line each, and under it, further in, what to type next.

    doubt: it is advice, and no error.

    In a pipe the lines stay as they are, FILE:LINE:COLUMN first, for other programs to read.
    """
    text = terminal.clean_lines(str(words))
    with contextlib.suppress(OSError):  # nobody may be there to read it
        if not sys.stderr.isatty():
            print(text, file=sys.stderr, flush=True)
            return
        from rich.text import Text

        out = terminal.console(error=True)
        for line in text.split("\n"):
            for part, style in _hint(line) if line.startswith(" ") else _problem(line, doubt):
                out.print(Text(part, style))


Styled = list[tuple[str, str]]  # lines, each with its role


def _problem(line: str, doubt: bool) -> Styled:
    """A problem: what is wrong, what was probably meant, and the line of the file with a caret under the column."""
    found = re.fullmatch(PLACE, line)
    meant = re.search(MEANT, line)
    plain = line[: meant.start()] + line[meant.end() :] if meant else line
    first, *rest = textwrap.wrap(plain, terminal.width() - 2, break_long_words=False, break_on_hyphens=False) or [""]
    mark, arrow, bar = ("✗", "→", "│") if "utf" in (sys.stderr.encoding or "").lower() else ("x", "->", "|")
    mark, style = ("!", terminal.DOUBT) if doubt else (mark, terminal.ERROR)
    shown: Styled = [(f"{mark} {first}", style), *((f"  {part}", style) for part in rest)]
    if meant:
        shown.append((f"  {arrow} did you mean {meant['meant']}?", terminal.ANSWER))
    if found and found["column"] and (source := linecache.getline(found["path"], int(found["line"])).rstrip()):
        shown += _source(terminal.clean(source), (found["line"], int(found["column"])), bar, style)
    return shown


def _source(source: str, place: tuple[str, int], bar: str, style: str) -> Styled:
    """A line of a file, the part of it that fits, and a caret under the column (from 1)."""
    line, column = place
    head = f"  {line} {bar} "
    room, column = terminal.width() - len(head), min(column, len(source) + 1)
    start = max(0, min(column - room * 2 // 3, len(source) - room)) if len(source) > room else 0
    caret = " " * (len(head) + column - 1 - start) + "^"
    return [(f"{head}{source[start : start + room]}", terminal.SECONDARY), (caret, style)]


def _hint(line: str) -> Styled:
    """What to type next, in lines that fit, none broken inside a word."""
    indent = " " * (len(line) - len(line.lstrip()))
    wrapped = textwrap.wrap(line.strip(), terminal.width(), initial_indent=indent, subsequent_indent=indent,
                            break_long_words=False, break_on_hyphens=False)  # fmt: skip
    return [(part, terminal.SECONDARY) for part in wrapped]
