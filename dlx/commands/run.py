"""`dlx run`: check every spec, then train one after another and show it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options, overrides

if TYPE_CHECKING:
    from pathlib import Path

    from dlx.spec.sections import Spec
    from dlx.training.outcome import Outcome


@click.command("run", short_help="Train one or several specs.")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=completion.specs)
@overrides
@click.option("--name", metavar="NAME", help="Name the run, instead of after its spec.")
@click.option(
    "--repeat", type=click.IntRange(1), default=1, metavar="N", help="Run each spec N times, seeds counting up."
)
@launch_options("json", "tags", "deadline")
def command(specs: tuple[str, ...], settings: tuple[str, ...], name: str | None, repeat: int, launch: Launch) -> int:
    """Train each SPEC into a run directory of its own.

    All specs are checked before any starts; when one fails, the others still run.

    \b
    dlx run configs/digits.yaml
    dlx run configs/cifar_*_lr.yaml -s epochs=2
    dlx run configs/digits.yaml --repeat 3        the same with three seeds
    """
    from dlx.spec import write_value

    launch.want()
    labels = [] if name is None else [f"name={write_value(name)}"]
    planned = [
        dataclasses.replace(spec, seed=(spec.seed + number) % 2**32, tags=[*spec.tags, *launch.tags])
        for spec in load_all(specs, [*settings, *labels])
        for number in range(repeat)
    ]
    return run_all(planned, launch)


def load_all(paths: Sequence[str], settings: Sequence[str]) -> list[Spec]:
    """Every spec, or a SpecError with the problems of all of them."""
    from dlx import spec as specs
    from dlx.errors import DlxError, SpecError
    from dlx.runs.find import command_line
    from dlx.system import terminal

    loaded: list[Spec] = []
    problems: list[DlxError] = []
    for path in paths:
        try:
            loaded.append(specs.load(path, settings))
        except SpecError as error:
            problems += [problem for problem in error.problems if str(problem) not in map(str, problems)]
    if problems:
        raise SpecError(problems)
    for path, spec in zip(paths, loaded, strict=True):
        if spec.sweep:
            hint = f"{command_line('dlx', 'sweep', path)} trains its alternatives of {', '.join(spec.sweep)}"
            terminal.console(error=True).print(terminal.clean(f"{spec.name} is trained without its sweep; {hint}"))
    return [dataclasses.replace(spec, sweep={}) for spec in loaded]


def run_all(planned: Sequence[Spec], launch: Launch) -> int:
    """Run every spec; returns the exit code: of the first run that did not end well, else 0."""
    from dlx.errors import DlxError, SpecError
    from dlx.runs.find import command_line
    from dlx.system import signals, terminal

    trainer = _Trainer(planned, launch)
    code, stopped, names = 0, "", list[str]()
    for number in range(len(planned)):
        if stopped := stopped or signals.Stop(trainer.options.deadline).reason:
            code = code or signals.code(stopped)
            terminal.console(error=True).print(f"stopped by {stopped}; {len(planned) - number} not started")
            break
        try:
            outcome = trainer.train(number)
        except DlxError as error:
            if launch.json and not isinstance(error, SpecError):
                from dlx.commands.training_screen import run_line

                print(run_line(None, "failed"), flush=True)
            if len(planned) == 1 or isinstance(error, SpecError):
                raise
            terminal.console(error=True).print(terminal.clean_lines(str(error)))
            code = code or error.exit_code
            continue
        names.append(outcome.run.name)
        code, stopped = code or outcome.exit_code, outcome.stop
    if len(names) > 1:
        compare = command_line("dlx", "compare", *names, runs_dir=launch.root)
        terminal.console(error=launch.json).print(f"\n{len(names)} runs; compare them:  {compare}")
    return code


class _Trainer:
    """Trains several specs one after another; what the last one compiled is kept for the next."""

    def __init__(self, planned: Sequence[Spec], launch: Launch) -> None:
        from dlx.commands.training_screen import RunScreen
        from dlx.training.session import Options

        self._planned, self._launch, self._begun = planned, launch, False
        self.options = Options(["dlx", *sys.argv[1:]], RunScreen(launch.json), deadline=launch.deadline)

    def train(self, number: int) -> Outcome:
        from dlx.commands import training_screen
        from dlx.system import backend
        from dlx.training import experiment, resume, train

        spec, root, json = self._planned[number], self._launch.root, self._launch.json
        if (before := resume.unfinished(spec, root)) is not None:
            training_screen.remind(before, root, error=json)
        prepared = experiment.prepare(spec)
        training_screen.show_plan(prepared, error=json, number=number + 1, of=len(self._planned))
        if not self._begun:
            self._begun = True
            backend.load()
            if len(self._planned) > 1:
                check_all(self._planned, root)
        outcome = train.train(prepared, root, self.options)
        if json:
            print(training_screen.run_line(outcome.run, outcome.status, outcome.run.metrics()), flush=True)
        return outcome


def check_all(planned: Sequence[Spec], root: Path) -> None:
    """Raise what only Keras can find wrong with any of several specs; a single one is built next anyway."""
    from dlx import spec as specs
    from dlx.errors import DataError, DlxError, SpecError
    from dlx.training.train import check

    problems: list[DlxError] = []
    checked: set[str] = set()
    for spec in planned:
        text = specs.dump(dataclasses.replace(spec, seed=0))
        if text in checked:
            continue
        checked.add(text)
        try:
            check(spec, root)
        except DataError:
            continue  # reported when its turn comes
        except SpecError as error:
            problems += [problem for problem in error.problems if str(problem) not in map(str, problems)]
    if problems:
        raise SpecError(problems)
