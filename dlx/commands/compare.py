"""`dlx compare`: a comparison as a table, CSV, Markdown or JSON."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlx.commands import completion
from dlx.commands.options import runs_dir

if TYPE_CHECKING:
    from dlx.runs.compare import Row
    from dlx.runs.diff import Column
    from dlx.runs.summary import Entry


@click.command("compare", short_help="What differs between runs, and what resulted.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, shell_complete=completion.runs)
@click.option("--sort", metavar="METRIC", help="Best first by this figure, test_accuracy for one.")
@click.option("--reach", metavar="FIGURE=N", help="When each run first had a figure this good: val_accuracy=0.6.")
@click.option("--columns", metavar="A,B,...", help="The figures to show, instead of the usual ones.")
@click.option("--json", "form", flag_value="json", help="Everything as one JSON object, never folded.")
@click.option("--csv", "form", flag_value="csv", help="The table as CSV.")
@click.option("--markdown", "form", flag_value="markdown", help="The table as Markdown.")
@runs_dir
def command(
    runs: tuple[str, ...],
    sort: str | None,
    reach: str | None,
    columns: str | None,
    form: str | None,
    runs_dir: str | None,
) -> None:
    """Show the settings in which the runs differ, then their figures, the best marked with *.

    Runs that differ in nothing but the seed, or in what was cut off for validation, become one row: mean ± standard
    deviation. Where their penalties differ, the loss of the data alone is compared.

    \b
    dlx compare runs/*
    dlx compare 'cifar_*' --sort val_accuracy
    dlx compare runs/* --csv > runs.csv
    """
    from dlx.runs import find

    shown = Shown(sort, columns.split(",") if columns else [], form, _goal(reach))
    compare(runs, find.root(runs_dir), shown)


def _goal(text: str | None) -> tuple[str, float] | None:
    """The figure and the number of --reach. Raises DlxError."""
    from dlx.errors import DlxError

    if text is None:
        return None
    figure, _, number = text.partition("=")
    try:
        goal = float(number)
        if not math.isfinite(goal) or not figure.startswith(("train_", "val_")):
            raise ValueError(text)
        return figure.strip(), goal
    except ValueError as error:
        raise DlxError(f"--reach: expected a figure and a number (val_accuracy=0.6), got {text!r}") from error


@dataclass(frozen=True)
class Shown:
    """What a comparison shows: how it is sorted, which figures, in what form, and when a goal was reached."""

    sort: str | None = None
    columns: Sequence[str] = ()
    form: str | None = None
    goal: tuple[str, float] | None = None


def compare(words: Sequence[str], root: Path, shown: Shown) -> None:
    """Print the comparison of the runs that `words` name; remarks go to standard error."""
    from dlx.commands import comparison_screen
    from dlx.runs.compare import figure_names, fold, ordered, reach
    from dlx.runs.diff import differences
    from dlx.runs.summary import as_record, gather
    from dlx.system import terminal
    from dlx.system.json_text import one_line
    from dlx.system.machine import uncollected

    with uncollected():
        entries = gather(words, root)
        if shown.goal is not None:
            _check_goal(entries, shown.goal[0])
            for entry in entries:
                reach(entry, *shown.goal)
        form, columns = shown.form, shown.columns
        if form == "json":
            print(one_line({"runs": [as_record(entry) for entry in entries]}))
            return
        rows = ordered(fold([entry for entry in entries if not entry.reason]), shown.sort)
        if shown.sort and not columns and any(shown.sort in entry.metrics for entry in entries):
            usual = figure_names(rows)
            columns = () if shown.sort in usual else (*usual, shown.sort)
        if shown.goal is not None and not any("reach_steps" in entry.metrics for entry in entries):
            print(f"no run reached {shown.goal[0]} {shown.goal[1]:g}", file=sys.stderr)
        if form in ("csv", "markdown"):
            settings = differences(rows) if rows else []
            _print_plain(rows, settings, figure_names(rows, columns) if rows else [], form)
        elif rows:
            comparison_screen.show(rows, columns)
        elif not entries:
            terminal.console().print("no runs to compare: dlx run SPEC makes one")
        damaged: list[Entry] = [entry for entry in entries if entry.reason]
        if damaged:
            out = terminal.console(error=form is not None)
            out.print("\nnot compared:" if rows else "not compared:")
            for entry in damaged:
                out.print(f"  {terminal.clean(str(entry.path))}: {terminal.clean(entry.reason)}")


def _check_goal(entries: Sequence[Entry], figure: str) -> None:
    """Raise DlxError where no run's history has the figure of --reach."""
    from dlx.errors import DlxError, did_you_mean
    from dlx.runs.run import Run

    known = {key: None for entry in entries for row in Run(entry.path).history()[:1] for key in row}
    if entries and figure not in known:
        names = ", ".join(key for key in known if key.startswith(("train_", "val_")))
        raise DlxError(f"--reach: no history has the figure {figure!r}{did_you_mean(figure, known)}", hint=names)


def _print_plain(rows: Sequence[Row], settings: Sequence[Column], figures: Sequence[str], form: str) -> None:
    """The whole table, by full addresses, figures as they are in the JSON.

    Of folded rows CSV has the mean, and the standard deviation in a column of its own; Markdown both in one.
    """
    import csv

    from dlx.system import terminal

    spread = [figure for figure in figures if form == "csv" and any(row.deviation(figure) is not None for row in rows)]
    head = ["run", "status", "n", *(setting.address for setting in settings)]
    for figure in figures:
        head.append(f"metrics.{figure}" if figure in head else figure)
        head += [f"{head[-1]}_sd"] * (figure in spread)
    body = []
    for number, row in enumerate(rows):
        several = len(row.entries) > 1 and form == "csv"
        cells = [row.first.settings.get("name", row.name) if several else row.name, row.first.status]
        cells += [str(len(row.entries)), *(_cell(setting, number, several) for setting in settings)]
        for figure in figures:
            value = row.figure(figure) if several else row.first.metrics.get(figure)
            cells.append(row.shown(figure) if form == "markdown" else "" if value is None else str(value))
            if figure in spread:
                deviation = row.deviation(figure)
                cells.append("" if deviation is None else str(deviation))
        body.append(cells)
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([terminal.clean(cell) for cell in line] for line in (head, *body))
        return
    for line in (head, ["---"] * len(head), *body):
        print("| " + " | ".join(terminal.clean(cell).replace("|", "\\|") for cell in line) + " |")


def _cell(setting: Column, number: int, several: bool) -> str:
    """A setting of a row as CSV and Markdown have it; how many seeds or cuts there are is no number of CSV."""
    from dlx.runs.summary import SPREAD

    cell = setting.cells[number]
    return "" if several and setting.address in SPREAD and cell.endswith(SPREAD[setting.address]) else cell
