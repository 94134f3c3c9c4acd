"""A comparison on the screen: runs of other data are tables of their own; where not all fits, figures come first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dlx.runs.compare import ABSENT, Row, best_rows, figure_names, names_of, sparkline
from dlx.runs.diff import Column, differences
from dlx.runs.summary import SPREAD
from dlx.system import terminal

if TYPE_CHECKING:
    from dlx.insight.comparison import Said
    from dlx.insight.flips import Flips

MANY = 12  # rows of several data sets: more get a few columns each
LINES = 46  # of the tables of a data set: two screens
MOST_SAID, MOST_FLIPS = 5, 20  # pairs of rows, and examples, that are printed
NARROWEST = 8  # columns of a run, beside others, in a table with a line a setting


class Cells(NamedTuple):
    """A column: its heading, a text a row, and which figure it holds, if it holds one."""

    title: str
    texts: list[str]
    figure: str = ""


def show(rows: Sequence[Row], chosen: Sequence[str] = ()) -> None:
    """Print the tables; `chosen` are the figures to show, instead of the usual ones."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.first.data, []).append(row)
    reached = any("reach_steps" in entry.metrics for row in rows for entry in row.entries)
    brief = len(rows) > MANY and len(groups) > 1 and not chosen and not reached
    apart = len(groups) > 1 and not chosen  # a run that has its data to itself has nothing to be compared with
    alone = [group[0] for group in groups.values() if apart and len(group) == 1]
    together = [(data, group) for data, group in groups.items() if group[0] not in alone]
    left = 0
    for number, (data, group) in enumerate(together):
        if number and not brief:
            terminal.console().print()
        left += _brief(data, group) if brief else _whole(data if len(groups) > 1 else "run", group, chosen)
    if alone:
        if together and not brief:
            terminal.console().print()
        _alone(alone)
    if left:
        hint = f"{left} more settings differ; fewer runs, of one data set, or --csv show all"
        terminal.console().print(hint, style=terminal.SECONDARY)


def say(said: Said) -> None:
    """What differences are real, a paragraph a pair: no more than fit on a screen."""
    out = terminal.console()
    spoken = said.statements[: said.shown]
    shown = [one.sentence for one in spoken[:MOST_SAID]]
    left = len(spoken) - len(shown)
    pairs = f"{left} more pair{'s' * (left > 1)}"
    more = [f"{pairs}; --json has all, --against RUN those of one"] if left else []
    for style, paragraphs in ((terminal.HEADING, [" ".join(said.ranking)]), ("", [*shown, *said.remarks, *more])):
        for words in filter(None, paragraphs):
            out.print()
            for line in terminal.wrapped(words):
                out.print(terminal.clean(line), style=style)


def show_flips(found: Flips) -> None:
    """The examples that one of two runs has right and the other wrong: how many of each class, then which."""
    out, (a, b) = terminal.console(), found.names
    total = len(found.only_a) + len(found.only_b)
    out.print()
    words = f"{total:,} of {found.rows:,} {found.split} rows flip: {len(found.only_a):,} are right in {a} alone, "
    for line in terminal.wrapped(f"{words}{len(found.only_b):,} in {b} alone"):
        out.print(terminal.clean(line), style=terminal.HEADING)
    if not total:
        return
    classes = [one for one in found.classes if one[2] or one[3]]
    names, n, only_a, only_b = (list(map(str, column)) for column in zip(*classes, strict=True))
    terminal.table([("class", names), ("n", n), (a, only_a), (b, only_b)], [False, True, True, True])
    out.print()
    flipped = [*found.only_a, *found.only_b]
    shown = flipped[:MOST_FLIPS]
    columns = [(found.split, [str(flip.row) for flip in shown]), ("true", [flip.truth for flip in shown]),
               (a, [flip.a for flip in shown]), (b, [flip.b for flip in shown])]  # fmt: skip
    if any(flip.place for flip in shown):
        columns.append(("file", [flip.place for flip in shown]))
    terminal.table(columns, [True, *(False for _ in columns[1:])])
    if len(flipped) > len(shown):
        out.print(f"{len(flipped) - len(shown):,} more; --json has them all", style=terminal.SECONDARY)


def _whole(heading: str, rows: Sequence[Row], chosen: Sequence[str]) -> int:
    """All of some runs of one data set; returns how many settings that differ have no room."""
    figures = figure_names(rows, chosen)
    # As epochs: what was trained says more than what was planned.
    settings = [column for column in differences(rows) if column.address not in figures]
    if len(rows) > 1 and not settings:
        terminal.console().print("no setting differs between these runs\n")
    planned = [Cells(column.title, _as_written(column.cells)) for column in settings]
    results, best = _results(rows, figures), {figure: best_rows(rows, figure) for figure in figures}
    everything = [Cells(heading, names_of(rows)), *planned, *results]
    if _fits(everything, best):
        _print(everything, rows, best)
        _say_units(rows, results)
        return 0
    beside = sum(terminal.column_width(*column[:2]) + 2 for column in planned) <= terminal.table_width() // 3
    names = names_of(rows) if beside else _distinct(names_of(rows), settings)
    first = [Cells(heading, names), *(planned if beside else [])]
    if not _fits([*first, *results], best):
        results = [column for column in results if column.figure or column.title == "status"]  # figures, no curves
    while (height := _height([*first, *results])) > (LINES if beside else 0.6 * LINES) and len(results) > 1:
        results.pop()
    _print([*first, *results], rows, best)
    _say_units(rows, results)
    if beside:
        return 0
    terminal.console().print()
    return _settings(names, planned, LINES - height)


def _say_units(rows: Sequence[Row], columns: Sequence[Cells]) -> None:
    """Of regressions, what their errors are measured in."""
    if any(row.first.info.get("task") != "regression" for row in rows):
        return
    shown = [column.figure.rpartition("_")[2] for column in columns if column.figure.endswith(("_mae", "_rmse"))]
    settings = rows[0].first.settings
    names = [settings.get(f"dataset.{key}") for key in ("csv.label", "series_csv.target")]
    target = next((name for name in names if isinstance(name, str)), "the target")
    if shown:
        line = f"{' and '.join(dict.fromkeys(shown))} in the unit of {target}"
        terminal.console().print(terminal.clean(line), style=terminal.SECONDARY)


def _results(rows: Sequence[Row], figures: Sequence[str]) -> list[Cells]:
    """What came of the runs: how those ended that are not done, their figures, the curve of what they monitor."""
    statuses = [row.first.status for row in rows]
    results = [Cells("status", statuses)] if any(status != "done" for status in statuses) else []
    results += [Cells(figure, [row.shown(figure) for row in rows], figure) for figure in figures]
    curves = [sparkline(row.first) for row in rows]
    if any(curves):
        monitors = dict.fromkeys(str(row.first.info.get("monitor", "")) for row in rows)
        results.append(Cells(" | ".join(monitors), curves))
    return results


def _fits(columns: Sequence[Cells], best: Mapping[str, Sequence[Row]]) -> bool:
    stars = sum(bool(best.get(column.figure)) for column in columns)
    return terminal.fits([column[:2] for column in columns], stars)


def _height(columns: Sequence[Cells]) -> int:
    """The lines of a table, all its blocks."""
    return terminal.blocks([column[:2] for column in columns]) * (len(columns[0].texts) + 2)


def _print(columns: Sequence[Cells], rows: Sequence[Row], best: Mapping[str, Sequence[Row]]) -> None:
    marked = [
        (number, place)
        for place, column in enumerate(columns)
        for number, row in enumerate(rows)
        if any(row is one for one in best.get(column.figure, ()))
    ]
    numeric = [bool(column.figure) or terminal.are_numbers(column.texts) for column in columns]
    terminal.table([column[:2] for column in columns], [False, *numeric[1:]], marked)


def _settings(names: list[str], planned: Sequence[Cells], lines: int) -> int:
    """The settings, a line each or a line a run, whichever fits; returns how many have no room."""
    across = _across(names, planned)
    down = [("", names)]
    for column in planned:
        more = [*down, column[:2]]
        if terminal.blocks(more) * (len(names) + 2) <= max(lines, len(names) + 2):
            down = more
    complete = len(down) > len(planned)
    height = terminal.blocks(down) * (len(names) + 2)
    if across and (not complete or len(planned) + 1 < height):
        terminal.table(across, [False] * len(across))
        return 0
    terminal.table(down, [False, *(terminal.are_numbers(cells) for _, cells in down[1:])])
    return len(planned) + 1 - len(down)


def _across(names: Sequence[str], planned: Sequence[Cells]) -> list[tuple[str, list[str]]]:
    """A line a setting, the runs side by side, long words shortened; nothing where they have no room."""
    titles = [terminal.shortened(column.title, 30) for column in planned]
    room = (terminal.table_width() - terminal.column_width("", titles)) // len(names) - 2
    cells = [[column.texts[number] for column in planned] for number in range(len(names))]
    numbers = [terminal.cells(cell) for column in cells for cell in column if terminal.are_numbers([cell])]
    if room < max([NARROWEST, *numbers]):
        return []
    short = [[terminal.shortened(cell, room) for cell in column] for column in cells]
    return [("", titles), *zip([terminal.shortened(name, room) for name in names], short, strict=True)]


def _distinct(names: list[str], settings: Sequence[Column]) -> list[str]:
    """The names; of rows of one name each with the settings that tell it from the others, two at most."""
    made, short = list(names), sorted(settings, key=lambda column: terminal.column_width(column.title, column.cells))
    for column in short[:2]:
        if len(set(made)) == len(made):
            break
        made = [
            f"{name}  {column.title} {cell}" if made.count(name) > 1 and cell != ABSENT else name
            for name, cell in zip(made, column.cells, strict=True)
        ]
    return made


def _as_written(cells: Sequence[str]) -> list[str]:
    """Numbers as a person writes them, 1/255 and 0.0239, as long as no two become one."""
    short = [_number(cell) for cell in cells]
    return short if len(set(short)) == len(set(cells)) else list(cells)


def _number(cell: str) -> str:
    try:
        value = float(cell)
    except ValueError:
        return cell
    if len(cell) < 7 or not math.isfinite(value):
        return cell
    if value == round(value):
        return cell
    if 0 < abs(value) < 1 and abs(1 / value - round(1 / value, 1)) < 1e-6 * abs(1 / value):
        return f"1/{1 / value:.5g}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.1f}"


# Many runs of several data sets


def _brief(data: str, rows: Sequence[Row]) -> int:
    """The table of one data set, a line a run; returns how many settings that differ have no room."""
    figures = _chief(rows)
    best = {figure: best_rows(rows, figure) for figure in figures}
    columns = [Cells(data, names_of(rows)), *(column for column in _results(rows, figures) if column.figure)]
    if any(row.first.status != "done" for row in rows):
        columns.append(Cells("status", [row.first.status for row in rows]))
    named = (*SPREAD, *figures, "data", "backend", "device")  # how many seeds there are is in a row's name
    settings = [column for column in differences(rows) if column.address not in named]
    settings.sort(key=lambda column: "[" in column.title)
    left = 0
    for setting in settings:
        column = Cells(setting.title, _as_written(setting.cells))
        if _fits([*columns, column], best):
            columns.append(column)
        else:
            left += 1
    _print(columns, rows, best)
    _say_units(rows, columns)
    return left


def _alone(rows: Sequence[Row]) -> None:
    """The runs that have their data to themselves, each with one figure."""
    chief = [next(iter(_chief([row])), "") for row in rows]
    columns = [
        ("alone with its data", [row.name for row in rows]),
        ("data", [row.first.data for row in rows]),
        ("figure", [f"{name} {row.shown(name)}" if name else "" for row, name in zip(rows, chief, strict=True)]),
    ]
    terminal.table(columns, [False, False, True])


def _chief(rows: Sequence[Row]) -> list[str]:
    """Two figures, of validation, test or train in this order: what most rows have, losses last; and the epochs."""
    figures, chief = figure_names(rows), list[str]()
    for split in ("val_", "test_", "train_"):
        names = [name for name in figures if name.startswith(split)]
        names.sort(key=lambda name: (name.endswith("loss"), -sum(bool(row.values(name)) for row in rows)))
        chief += names[:1]
    lengths = {row.shown("epochs") for row in rows}
    return [*chief[:2], *(["epochs"] if len(lengths) > 1 else [])]
