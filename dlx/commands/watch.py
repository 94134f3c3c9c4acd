"""`dlx watch`: follow a training from another terminal, from its files alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from dlx.commands import completion
from dlx.commands.options import runs_dir

if TYPE_CHECKING:
    from pathlib import Path

    from dlx.runs.run import Run

PAUSE = 1.0  # seconds between two looks at the files
SHOWN, TALL = 8, 8  # epochs that are shown, and lines of the curve
BLOCKS = " ▁▂▃▄▅▆▇█"


@click.command("watch", short_help="Follow a running training from another terminal.")
@click.argument("run", metavar="[RUN]", required=False, shell_complete=completion.runs)
@runs_dir
def command(run: str | None, runs_dir: str | None) -> None:
    """Follow RUN, or else the newest one that is running, until it ends: its curve, its last epochs, the time left.

    It only reads. Ctrl-C ends the watching, and not the training.

    \b
    dlx watch
    dlx watch digits
    """
    from dlx.runs import find

    root = find.root(runs_dir)
    watched = find.one(run, root) if run is not None else _running(root)
    try:
        ended = _screen(watched) if sys.stdout.isatty() else _lines(watched)
    except KeyboardInterrupt:
        print(f"{watched.name} goes on" if watched.status == "running" else "", file=sys.stderr)
        return
    print(f"{watched.name}: {ended}; {find.command_line('dlx', 'show', watched.name, runs_dir=root)}")


def _running(root: Path) -> Run:
    """The newest run that is running. Raises RunError where there is none."""
    from dlx.errors import RunError
    from dlx.runs import find
    from dlx.runs.run import Run

    running = [run for run in map(Run, filter(find.is_run, find.below(root))) if run.status == "running"]
    if not running:
        raise RunError("no run is running", where=str(root), hint="dlx watch RUN shows one that has ended")
    return max(running, key=lambda run: find.started(run.path))


def _lines(run: Run) -> str:
    """A line an epoch, as they come; returns how the run ended."""
    from dlx.training.progress_bar import Best, epoch_line

    best, shown, epochs = Best(_monitor(run)), 0, _epochs(run)
    while True:
        status, rows = run.status, run.history()
        lines = [epoch_line(row, epochs or int(rows[-1]["epoch"]), best.add(row)) for row in rows[shown:]]
        for line in lines if shown or status == "running" else lines[-SHOWN:]:
            print(line, flush=True)
        shown = len(rows)
        if status != "running":
            return status
        time.sleep(PAUSE)


def _screen(run: Run) -> str:
    """The curve and the last epochs, drawn anew as they come; returns how the run ended."""
    from rich.live import Live
    from rich.text import Text

    from dlx.system import terminal

    with Live(console=terminal.console(), auto_refresh=False) as live:
        while True:
            status, rows = run.status, run.history()
            live.update(Text("\n".join(page(run.name, rows, _monitor(run), _epochs(run), status))), refresh=True)
            if status != "running":
                return status
            time.sleep(PAUSE)


def page(name: str, rows: Sequence[Mapping[str, Any]], monitor: str, epochs: int, status: str) -> list[str]:
    """What is seen of a training: its curve, its last epochs, how far it is and what it still takes."""
    from dlx.runs.metrics import figure_text
    from dlx.system import terminal
    from dlx.system.units import duration
    from dlx.training.progress_bar import Best, epoch_line

    if not rows:
        return [f"{name}: {status}, no epoch yet"]
    best, marks = Best(monitor), []
    for row in rows:
        marks.append(best.add(row))
    number = int(rows[-1]["epoch"])
    whole = epochs or number
    last = list(zip(rows, marks, strict=True))[-SHOWN:]
    lines = [f"{name}  {monitor}", *curve([row.get(monitor) for row in rows], terminal.width(), figure=monitor), ""]
    lines += [epoch_line(row, whole, mark) for row, mark in last]
    figure = (
        f", best {monitor} {figure_text(monitor, best.row[monitor])} at epoch {best.row['epoch']:,}" if best.row else ""
    )
    times = [float(row["seconds"]) for row, _ in last if isinstance(row.get("seconds"), (int, float))]
    left = f", about {duration((whole - number) * sum(times) / len(times))} left" if times and number < whole else ""
    return [*lines, "", f"epoch {number:,} of {whole:,}, {status}{figure}{left if status == 'running' else ''}"]


def curve(values: Sequence[Any], width: int, tall: int = TALL, figure: str = "") -> list[str]:
    """A figure over the epochs as lines of text, its lowest and highest value beside them; a gap where it is none."""
    from dlx.runs.history import thinned
    from dlx.runs.metrics import figure_text, is_number

    numbers = [float(value) for value in values if is_number(value)]
    if not numbers:
        return []
    low, high = min(numbers), max(numbers)
    names = [figure_text(figure, high), *("" for _ in range(tall - 2)), figure_text(figure, low)]
    margin = max(map(len, names)) + 1
    room = max(10, width - margin - 1)
    values = thinned(values, room)
    span = (high - low) or 1.0
    eighths = [1 + round((float(v) - low) / span * (8 * tall - 1)) if is_number(v) else 0 for v in values]
    lines = []
    for line, name in zip(range(tall - 1, -1, -1), names, strict=True):
        bars = "".join(BLOCKS[min(8, max(0, eighth - 8 * line))] for eighth in eighths)
        lines.append(f"{name:>{margin - 1}} {bars}".rstrip())
    return lines


def _monitor(run: Run) -> str:
    return str(run.info().get("monitor", "val_loss"))


def _epochs(run: Run) -> int:
    """How many epochs are planned; 0 where that is not known, as with `steps`."""
    epochs = run.info()["settings"].get("epochs")
    return epochs if isinstance(epochs, int) else 0
