"""`dlx resume`: continue a run and show it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options

if TYPE_CHECKING:
    from pathlib import Path

    from dlx.runs.run import Run
    from dlx.training.experiment import Experiment
    from dlx.training.outcome import Outcome, Start


@click.command("resume", short_help="Continue a run that was stopped, or train a finished one further.")
@click.argument("run", metavar="[RUN]", required=False, shell_complete=completion.runs)
@click.option(
    "-s", "--set", "settings", multiple=True, metavar="K=V",
    help="Train further, as a child run, with another epochs, steps or early_stop: -s epochs=100",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Continue though versions, device or data differ from before.")
@launch_options("json", "devices", "deadline")
def command(run: str | None, settings: tuple[str, ...], force: bool, launch: Launch) -> int:
    """Continue exactly where a run was: its weights, history and predictions are those of a run without a stop.

    A run that trains at another place is followed again. Without RUN, the newest one that was stopped. With -s the run
    stays as it is, and a new one continues from its end.

    \b
    dlx resume
    dlx resume digits-1
    dlx resume digits-1 -s epochs=100
    """
    from dlx.commands.training_screen import RunScreen, run_line
    from dlx.errors import DlxError
    from dlx.runs import find
    from dlx.training import resume
    from dlx.training.session import Options

    options = Options(["dlx", *sys.argv[1:]], RunScreen(launch.json), deadline=launch.deadline)
    if run is not None and not force and (away := _away(find.find(run, launch.root, own=True))) is not None:
        if settings:
            raise click.UsageError(f"{away.name} trains at another place; -s continues a run that has come home")
        return _follow(away, launch)
    stopped = resume.newest_stopped(launch.root) if run is None else find.one(run, launch.root, own=True)
    if stopped.status == "away" and not force:
        return _follow(stopped, launch)
    try:
        outcome = resume.resume(
            stopped,
            settings,
            device={"backend": launch.backend, "device": launch.device, "devices": launch.devices},
            options=options,
            force=force,
            announce=lambda experiment, start: _show(stopped, experiment, start, bool(settings), launch.json),
        )
    except DlxError:
        if launch.json:
            print(run_line(stopped, "failed"), flush=True)
        raise
    if launch.json:
        print(run_line(outcome.run, outcome.status, outcome.run.metrics()), flush=True)
    return outcome.exit_code


def _away(paths: Sequence[Path]) -> Run | None:
    """The run of a single path that trains at another place; it may not have begun there."""
    from dlx.runs.run import AWAY, Run

    return Run(paths[0]) if len(paths) == 1 and os.path.isfile(paths[0] / AWAY) else None


def _follow(run: Run, launch: Launch) -> int:
    """Follow a run again that trains at another place, and show what came of it."""
    from dlx.commands import place_screen
    from dlx.commands.training_screen import run_line
    from dlx.errors import DlxError

    outcome, begun = None, True
    try:
        outcome = place_screen.outcome(run, place_screen.take_up(run, launch))
        begun = (run.path / "run.json").is_file()
        if begun and outcome.status != "away":
            _show_home(outcome, launch)
    except DlxError:
        if launch.json and outcome is None:
            print(run_line(run, run.status), flush=True)
        raise
    finally:
        if launch.json and outcome is not None:
            print(run_line(run, outcome.status, outcome.metrics), flush=True)
    if outcome.error is not None and not begun:
        raise outcome.error
    return outcome.exit_code


def _show_home(outcome: Outcome, launch: Launch) -> None:
    """The figures of a run that has come home, also to a machine that lacks its data."""
    from dlx.commands.training_screen import show_result
    from dlx.errors import DataError
    from dlx.runs.find import command_line
    from dlx.system import terminal
    from dlx.training.experiment import prepared_again

    try:
        experiment = prepared_again(outcome.run)[0]
    except DataError:
        shown = command_line("dlx", "compare", outcome.run.name, runs_dir=launch.root)
        words = f"{outcome.run.name} is here, {outcome.status}; its data is not, but  {shown}  shows its figures"
        terminal.console(error=True).print(terminal.clean(words))
    else:
        show_result(experiment, outcome, launch.json)


def _show(run: Run, experiment: Experiment, start: Start | None, child: bool, json: bool) -> None:
    """The plan, and where the training continues."""
    from dlx.commands.training_screen import show_plan
    from dlx.system import terminal

    show_plan(experiment, error=json)
    where = "the beginning: it has no checkpoint yet"
    if start is not None:
        where = f"step {start.step:,} of {experiment.steps:,}, after epoch {start.info['epochs']:,}"
        behind = len(run.history()) - len(start.rows)
        if behind > 0 and not child:
            where += f"; {behind:,} epoch{'s' * (behind > 1)} behind that checkpoint will be trained again"
    terminal.fields([("continues", f"{run.name} from {where}")], json)
