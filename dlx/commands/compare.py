"""`dlx compare`: a comparison as a table, CSV, Markdown or JSON."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlx.commands import completion
from dlx.commands.options import PICTURES, file_to_write, runs_dir

if TYPE_CHECKING:
    from dlx.insight.comparison import Said
    from dlx.insight.flips import Flips
    from dlx.runs.compare import Row
    from dlx.runs.diff import Column
    from dlx.runs.summary import Entry


@click.command("compare", short_help="What differs between runs, and what resulted.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, shell_complete=completion.runs)
@click.option("--sort", metavar="METRIC", help="Best first by this figure, test_accuracy for one.")
@click.option("--reach", metavar="FIGURE=N", help="When each run first had a figure this good: val_accuracy=0.6.")
@click.option("--columns", metavar="A,B,...", help="The figures to show, instead of the usual ones.")
@click.option("--against", metavar="RUN", help="Say how each row differs from this one, not from the first.")
@click.option("--seeds-for", "apart", type=float, metavar="D", help="How many seeds tell D points (or units) apart.")
@click.option("--flips", is_flag=True, help="The examples that one of two runs has right and the other wrong.")
@click.option("-o", "output", type=click.Path(), metavar="FILE", help="With --flips: a picture of these images.")
@click.option("--json", "form", flag_value="json", help="Everything as one JSON object, never folded.")
@click.option("--csv", "form", flag_value="csv", help="The table as CSV.")
@click.option("--markdown", "form", flag_value="markdown", help="The table as Markdown.")
@runs_dir
def command(
    runs: tuple[str, ...],
    sort: str | None,
    reach: str | None,
    columns: str | None,
    against: str | None,
    apart: float | None,
    flips: bool,
    output: str | None,
    form: str | None,
    runs_dir: str | None,
) -> None:
    """Show the settings in which the runs differ, then their figures, the best marked with *.

    Runs that differ in nothing but the seed, or in what was cut off for validation, become one row: mean ± standard
    deviation. Where their penalties differ, the loss of the data alone is compared.

    Under the table stands whether differences are real: of settings with three seeds or more each, with an interval; of
    two single runs, what their predictions of the same examples say of these two models.

    \b
    dlx compare runs/*
    dlx compare 'cifar_*' --sort val_accuracy
    dlx compare runs/* --csv > runs.csv
    dlx compare wide narrow --flips
    dlx compare 'mine-*' --seeds-for 0.5
    """
    from dlx.runs import find

    if output is not None and not flips:
        raise click.UsageError("-o FILE is for the picture of --flips")
    if apart is not None and not 0 < apart < math.inf:
        raise click.UsageError(f"--seeds-for: expected a difference above 0, got {apart:g}")
    picture = None if output is None else file_to_write(output, PICTURES)
    asked = Asked(against, apart, flips, picture)
    shown = Shown(sort, columns.split(",") if columns else [], form, _goal(reach), asked)
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
class Asked:
    """What is asked of differences: against which run, how many seeds tell how much apart, and which examples flip."""

    against: str | None = None
    apart: float | None = None
    flips: bool = False
    output: Path | None = None


@dataclass(frozen=True)
class Shown:
    """What a comparison shows: how it is sorted, which figures, in what form, when a goal was reached, differences."""

    sort: str | None = None
    columns: Sequence[str] = ()
    form: str | None = None
    goal: tuple[str, float] | None = None
    asked: Asked = field(default_factory=Asked)


def compare(words: Sequence[str], root: Path, shown: Shown) -> None:
    """Print the comparison of the runs that `words` name; remarks go to standard error."""
    from dlx.commands import comparison_screen
    from dlx.errors import RunError
    from dlx.runs.compare import Row, figure_names, fold, ordered, reach
    from dlx.runs.diff import differences
    from dlx.runs.summary import as_record, gather
    from dlx.system.json_text import one_line
    from dlx.system.machine import uncollected

    with uncollected():
        entries = gather(words, root)
        if shown.goal is not None:
            _check_goal(entries, shown.goal[0])
            for entry in entries:
                reach(entry, *shown.goal)
        form, columns = shown.form, shown.columns
        rows = ordered(fold([entry for entry in entries if not entry.reason]), shown.sort)
        asked = [Row([entry]) for row in rows for entry in row.entries]
        asked = asked if len(asked) == 2 else rows  # two runs are two models, also where they are one setting
        said = _said(asked, root, shown)
        flipped = _flips(asked, root, shown.asked) if shown.asked.flips else None
        if form == "json":
            record: dict[str, Any] = {"format": 1, "runs": [as_record(entry) for entry in entries]}
            record["statistics"] = [one.record() for one in said.statements] if said else []
            print(one_line(record | ({"flips": flipped.record()} if flipped else {})))
            return
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
            if said:
                comparison_screen.say(said)
            if flipped:
                comparison_screen.show_flips(flipped)
        elif not entries:
            hint = "dlx run SPEC makes one, dlx list shows those that are there"
            raise RunError(f"none of these is a run: {', '.join(words[:5])}", hint=hint)
        _show_damaged([entry for entry in entries if entry.reason], bool(rows), form is not None)


def _show_damaged(damaged: Sequence[Entry], rows: bool, error: bool) -> None:
    """The runs that cannot be read, and why."""
    from dlx.system import terminal

    out = terminal.console(error=error)
    if damaged:
        out.print("\nnot compared:" if rows else "not compared:")
    for entry in damaged:
        out.print(f"  {terminal.clean(str(entry.path))}: {terminal.clean(entry.reason)}")


def _said(rows: Sequence[Row], root: Path, shown: Shown) -> Said | None:
    """What is said of differences; None where there is nothing to say, so that nothing is loaded for it."""
    from dlx.runs.summary import BASELINE

    asked = shown.asked
    against = _row_of(asked.against, rows, root) if asked.against else None
    several = any(len(row.entries) > 1 or BASELINE in row.first.settings for row in rows)
    if not (several or len(rows) == 2 or against or asked.apart) or (len(rows) < 2 and not asked.apart):
        return None
    from dlx.insight.comparison import Question, Said, compare, pilot
    from dlx.runs.metrics import is_figure

    figure = shown.sort if shown.sort and is_figure(shown.sort) else ""
    question = Question(against, figure, asked.apart)
    if len(rows) == 1 and (words := pilot(rows[0], question)):
        return Said((), [words])
    said = compare(rows, question)
    if asked.apart is not None and not any("takes about" in one.sentence for one in said.statements):
        words = f"--seeds-for {asked.apart:g} needs two settings of three runs or more that differ among themselves"
        return dataclasses.replace(said, remarks=[*said.remarks, f"{words}: dlx run SPEC --repeat 5 makes five"])
    return said


def _row_of(word: str, rows: Sequence[Row], root: Path) -> Row:
    """The row of the run that --against names. Raises RunError where it is not among those that are compared."""
    from dlx.errors import RunError
    from dlx.runs import find

    run = find.one(word, root)
    for row in rows:
        if any(entry.path.resolve() == run.path.resolve() for entry in row.entries):
            return row
    raise RunError(f"--against {word}: it is not among the runs compared", hint="name it among them, too")


def _flips(rows: Sequence[Row], root: Path, asked: Asked) -> Flips:
    """The flips of the first two rows, or of that of --against and the other; their picture is written."""
    from dlx.errors import RunError
    from dlx.insight.flips import draw_flips, flips
    from dlx.plots import style
    from dlx.runs.run import Run
    from dlx.system import terminal

    first = _row_of(asked.against, rows, root) if asked.against else next(iter(rows), None)
    others = [row for row in rows if row is not first]
    if first is None or len(others) != 1:
        raise RunError(f"--flips is of two runs, got {len(rows)}", hint="dlx compare RUN RUN --flips")
    found = flips((Run(first.first.path), Run(others[0].first.path)), images=asked.output is not None)
    if asked.output is not None:
        style.save(draw_flips(found), asked.output)
        terminal.console(error=True).print(terminal.clean(str(asked.output)))
    return found


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
