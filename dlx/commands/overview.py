"""Many runs of several data sets on one screen: a table for each data set, with what fits into the width."""

from __future__ import annotations

from collections.abc import Sequence

from dlx.runs.compare import Row, best_rows, figure_names, names_of
from dlx.runs.diff import Column, differences
from dlx.runs.summary import SPREAD
from dlx.system import terminal


def show(rows: Sequence[Row]) -> None:
    """Print the tables; a last line says how many settings were left out."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.first.data, []).append(row)
    left = sum(_group(data, group) for data, group in groups.items() if len(group) > 1)
    if alone := [group[0] for group in groups.values() if len(group) == 1]:
        _alone(alone)
    if left:
        out = terminal.console()
        out.print(f"{left} more settings differ; dlx compare with fewer runs, of one data set, shows all", style="dim")


def _group(data: str, rows: Sequence[Row]) -> int:
    """The table of one data set; returns how many settings that differ have no room."""
    figures = _chief(rows)
    columns = [(data, names_of(rows)), *((name, [row.shown(name) for row in rows]) for name in figures)]
    marked = [
        (number, place)
        for place, figure in enumerate(figures, 1)
        for best in best_rows(rows, figure)
        for number, row in enumerate(rows)
        if row is best
    ]
    if any(row.first.status != "done" for row in rows):
        columns.append(("status", [row.first.status for row in rows]))
    room = terminal.width() - sum(terminal.column_width(title, cells) + 3 for title, cells in columns)
    named = (*SPREAD, *figures, "data", "backend", "device")  # how many seeds there are is in a row's name
    settings = [column for column in differences(rows) if column.address not in named]
    settings.sort(key=lambda column: "[" in column.title)
    fitting: list[Column] = []
    for setting in settings:
        width = terminal.column_width(setting.title, setting.cells) + 2
        if width <= room:
            room, fitting = room - width, [*fitting, setting]
    columns += [(setting.title, setting.cells) for setting in fitting]
    numeric = [terminal.are_numbers(setting.cells) for setting in fitting]
    plain = len(columns) - 1 - len(figures) - len(fitting)  # the status
    terminal.table(columns, [False, *(True for _ in figures), *(False for _ in range(plain)), *numeric], marked)
    return len(settings) - len(fitting)


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
