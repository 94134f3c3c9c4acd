"""A training at another place on the screen: sent, followed, left alone, taken up again."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from dlx.commands import training_screen
from dlx.commands.options import Launch
from dlx.errors import LostError, PlaceError
from dlx.runs.find import command_line
from dlx.runs.run import Run
from dlx.search.places import attached
from dlx.search.sweep import Result
from dlx.system import signals, terminal
from dlx.training.outcome import Outcome
from dlx.training.progress_bar import Best, epoch_line

if TYPE_CHECKING:
    from dlx.parts.places import Place
    from dlx.training.experiment import Experiment


def told(launch: Launch, command: list[str], parent: str | None) -> dict[str, object]:
    """What a worker elsewhere has to know of a command."""
    return {
        "command": command, "parent": parent, "backend": launch.backend, "device": launch.device,
        "devices": launch.devices, "seconds": signals.left(launch.deadline),
    }  # fmt: skip


def train(experiment: Experiment, place: Place, launch: Launch, parent: str | None) -> tuple[Run, Result]:
    """Train an experiment at a place and show it; (its run, how it ended)."""
    command = ["dlx", *sys.argv[1:]]
    with reached(place):
        followed = attached.sent(experiment, place, launch.root, told(launch, command, parent), _noted)
    terminal.fields([("place", place.name), ("run", str(followed.run.path))], launch.json, least=training_screen.COLUMN)
    return followed.run, show(followed, experiment.epochs, launch)


def take_up(run: Run, launch: Launch) -> Result:
    """Follow a run again that trains at a place."""
    with reached():
        followed = attached.taken_up(run, told(launch, ["dlx", *sys.argv[1:]], None), _noted)
    epochs = run.info()["settings"].get("epochs") if (run.path / "run.json").is_file() else 0
    return show(followed, epochs if isinstance(epochs, int) else 0, launch)


@contextlib.contextmanager
def reached(place: Place | None = None) -> Iterator[None]:
    """Within it a connection that is lost is an error that a person reads."""
    try:
        yield
    except LostError as error:
        where = "" if place is None else place.name
        raise PlaceError(f"the connection was lost ({error})", where=where, hint="try again") from error


def _noted(line: str) -> None:
    terminal.console(error=True).print(terminal.clean(line))


def show(followed: attached.Attached, epochs: int, launch: Launch) -> Result:
    """Show what comes of a training until it ends, or is left alone ("away"); Ctrl-C asks which of the two.

    At a place that ends with this command a training cannot be left alone: it is stopped politely.
    """
    run, seen, where = followed.run, _Seen(followed.run), followed.name
    stop, stopping = signals.Stop(launch.deadline), False

    def tick() -> bool:
        nonlocal stopping
        seen.look(bar, epochs)
        if not stop.reason or stopping:
            return False
        if not followed.lasts:
            stopping = True
            followed.stop(stop.reason)
            return False
        if stop.reason == "SIGINT" and sys.stdin.isatty() and sys.stderr.isatty():
            words = f"\n[d]etach: it goes on at {where}; [s]top: it keeps a checkpoint; [c]ontinue to follow"
            answer = click.prompt(words, default="d", err=True, type=click.Choice(["d", "s", "c"]), show_choices=False)
            stop.signal = ""
            stopping = answer == "s"
            if stopping:
                followed.stop("SIGINT")
            return bool(answer == "d")
        return True

    with signals.politely(stop), terminal.Bar(max(epochs, 1), "epochs") as bar:
        bar.wait(f"begins at {where}")
        result = followed.follow(tick)
        seen.look(bar, epochs)
    if result is None:
        result = Result("away", run, stop=stop.reason)
        again = command_line("dlx", "resume", run.name, runs_dir=launch.root)
        terminal.console(error=True).print(terminal.clean(f"{run.name} goes on at {where}; follow it again:  {again}"))
    return result


class _Seen:
    """The epochs of a run that grows, a line each."""

    def __init__(self, run: Run) -> None:
        self._run, self._count, self._best = run, 0, Best("")

    def look(self, bar: terminal.Bar, epochs: int) -> None:
        """Show what is new."""
        rows = self._run.history()
        if len(rows) < self._count:  # it went back to a checkpoint
            self._count = len(rows)
        if not self._count and rows and (self._run.path / "run.json").is_file():
            self._best = Best(str(self._run.info().get("monitor", "val_loss")))
        for row in rows[self._count :]:
            number = int(row["epoch"])
            line = epoch_line(row, max(epochs, number), self._best.add(row))
            bar.update(number, line=line)
            if sys.stderr.isatty():
                bar.line(number, line)
        self._count = len(rows)


def outcome(run: Run, result: Result) -> Outcome:
    """How a training elsewhere ended, as one of this machine's."""
    status = "interrupted" if result.status == "not begun" else result.status
    return Outcome(run, status, run.metrics() or {}, result.error, result.stop)
