"""`dlx compare`: a comparison as a table, CSV, Markdown or JSON."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence

from dlx.runs import compare as comparison
from dlx.runs import run as runs
from dlx.runs.compare import Column, Row
from dlx.system import terminal as display


@comparison.uncollected()
def compare(
    words: Sequence[str], sort: str | None, chosen: Sequence[str], form: str | None, folder: str | None
) -> None:
    """Print the comparison of the runs that `words` name; remarks go to standard error."""
    entries, remarks = comparison.gather(words, runs.root(folder))
    for remark in remarks:
        print(display.clean(remark), file=sys.stderr)
    if form == "json":
        print(display.as_json({"runs": [comparison.as_record(entry) for entry in entries]}))
        return
    readable = [entry for entry in entries if not entry.reason]
    rows = comparison.ordered(comparison.fold(readable), sort)
    figures = comparison.figures(rows, chosen) if rows else []
    settings = comparison.differences(rows) if rows else []
    if form in ("csv", "markdown"):
        _plain(rows, settings, figures, form)
    elif rows:
        _table(rows, settings, figures)
    elif not entries:
        display.console().print("no runs to compare: dlx run SPEC makes one")
    damaged = [entry for entry in entries if entry.reason]
    if damaged:
        out = display.console(error=form is not None)
        out.print("\nnot compared:" if rows else "not compared:")
        for entry in damaged:
            out.print(f"  {display.clean(str(entry.path))}: {display.clean(entry.reason)}")


def _statuses(rows: Sequence[Row]) -> list[str]:
    return [row.first.status for row in rows]


def _table(rows: Sequence[Row], settings: Sequence[Column], figures: Sequence[str]) -> None:
    columns = [("run", [row.name for row in rows])]
    numeric = [False]
    marked = []
    for setting in settings:
        columns.append((setting.title, setting.cells))
        numeric.append(all(_number(cell) for cell in setting.cells))
    if any(status != "done" for status in _statuses(rows)):
        columns.append(("status", _statuses(rows)))
        numeric.append(False)
    for figure in figures:
        best = comparison.best(rows, figure)
        marked += [(number, len(columns)) for number, row in enumerate(rows) if any(row is one for one in best)]
        columns.append((figure, [row.shown(figure) for row in rows]))
        numeric.append(True)
    curves = [comparison.sparkline(row.first) for row in rows]
    if any(curves):
        monitors = dict.fromkeys(str(row.first.info.get("monitor", "")) for row in rows)
        columns.append((" | ".join(monitors), curves))
        numeric.append(False)
    if len(rows) > 1 and not settings:
        display.console().print("no setting differs between these runs\n")
    display.table(columns, numeric, marked)


def _number(cell: str) -> bool:
    if cell == comparison.ABSENT:
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _plain(rows: Sequence[Row], settings: Sequence[Column], figures: Sequence[str], form: str) -> None:
    """The whole table, by full addresses; figures as they are in the JSON, folded ones with a column of deviations."""
    head = ["run", "status", "n", *(setting.address for setting in settings)]
    head += [f"metrics.{figure}" if figure in head else figure for figure in figures]
    body = []
    for number, row in enumerate(rows):
        cells = [row.name, row.first.status, str(len(row.entries)), *(setting.cells[number] for setting in settings)]
        for figure in figures:
            if len(row.entries) > 1:
                cells.append(row.shown(figure))
            else:
                value = row.first.metrics.get(figure)
                cells.append("" if value is None else row.shown(figure) if form == "markdown" else str(value))
        body.append(cells)
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([display.clean(cell) for cell in line] for line in (head, *body))
        return
    for line in (head, ["---"] * len(head), *body):
        print("| " + " | ".join(display.clean(cell).replace("|", "\\|") for cell in line) + " |")
