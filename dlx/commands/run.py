"""`dlx run`: check every spec, then train one after another and show it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options, overrides

if TYPE_CHECKING:
    from dlx.errors import DlxError
    from dlx.parts.places import Place
    from dlx.spec.sections import Spec
    from dlx.training.experiment import Experiment
    from dlx.training.outcome import Outcome


@click.command("run", short_help="Train one or several specs.")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=completion.specs)
@overrides
@click.option("--name", metavar="NAME", help="Name the run, instead of after its spec.")
@click.option(
    "--repeat", type=click.IntRange(1), default=1, metavar="N", help="Run each spec N times, seeds counting up."
)
@click.option("--resample", type=click.IntRange(2), metavar="N", help="Run each spec on N random cuts of its data.")
@click.option(
    "--folds", type=click.IntRange(2, 999), metavar="K", help="Validate each spec on K parts of train in turn."
)
@launch_options("json", "tags", "devices", "on", "hosts", "deadline")
def command(
    specs: tuple[str, ...],
    settings: tuple[str, ...],
    name: str | None,
    repeat: int,
    resample: int | None,
    folds: int | None,
    launch: Launch,
) -> int:
    """Train each SPEC into a run directory of its own.

    All specs are checked before any starts; when one fails, the others still run.

    \b
    dlx run digits.yaml
    dlx run cifar_*_lr.yaml -s epochs=2
    dlx run digits.yaml --repeat 3        the same with three seeds
    dlx run mine.yaml --resample 5                the same on five random cuts
    dlx run mine.yaml --folds 5                   cross-validation; its predictions in one file
    """
    from dlx.spec import write_value
    from dlx.system.files import as_utf8

    if (repeat > 1) + (resample is not None) + (folds is not None) > 1:
        raise click.UsageError("expected one of --repeat, --resample and --folds")
    if folds is not None and launch.on is not None:
        raise click.UsageError("--folds gathers predictions on this machine: type it without --on")
    launch.want()
    labels = [] if name is None else [f"name={write_value(as_utf8(name))}"]
    report = Report(len(specs) * repeat * (resample or 1) * (folds or 1), launch.json)
    loaded = load_all(specs, [*settings, *labels], launch, report)
    planned = [
        dataclasses.replace(variant, tags=[*variant.tags, *launch.tags])
        for spec in loaded
        for variant in variants(spec, repeat, resample, folds)
    ]
    code = run_all(planned, launch, report)
    if folds is not None:
        for number, spec in enumerate(loaded):
            numbers = range(number * folds, (number + 1) * folds)
            _write_out_of_fold(spec, [report.outcomes.get(one) for one in numbers], launch)
    return code


def variants(spec: Spec, repeat: int, resample: int | None, folds: int | None) -> Iterator[Spec]:
    """The spec with seeds counting up, with several cuts of its data, or with each fold in turn as its validation."""
    from dlx.data.cuts import fold_of
    from dlx.errors import DlxError

    if folds is not None:
        for fold in (f"fold {number} of {folds}" for number in range(1, folds + 1)):
            yield dataclasses.replace(spec, validation=fold).with_change("validation", fold)
    elif resample is not None:
        if not (isinstance(spec.test, float) or isinstance(spec.validation, float) or fold_of(spec.validation)):
            hint = "validation: 0.2 cuts a part off; --repeat repeats with other seeds"
            message = "--resample cuts the data anew, but the spec has no share for test or validation"
            raise DlxError(message, where=spec.name, hint=hint)
        for number in range(resample):
            seed = (spec.split_seed + number) % 2**32
            yield dataclasses.replace(spec, split_seed=seed).with_change("split_seed", str(seed))
    else:
        yield spec
        for seed in ((spec.seed + number) % 2**32 for number in range(1, repeat)):
            yield dataclasses.replace(spec, seed=seed).with_change("seed", str(seed))


def _write_out_of_fold(spec: Spec, outcomes: Sequence[Outcome | None], launch: Launch) -> None:
    """The predictions of every example by the run that was not trained on it, in one file beside the runs."""
    import numpy as np

    from dlx.system import files, terminal

    parts = [outcome.out_of_fold for outcome in outcomes if outcome is not None and outcome.out_of_fold is not None]
    if len(parts) < len(outcomes):
        out = terminal.console(error=True)
        out.print(f"{len(outcomes) - len(parts)} of {len(outcomes)} folds have not ended: no file of their predictions")
        return
    path, number = launch.root / f"{spec.name}-folds.npz", 1
    while path.exists():
        path, number = launch.root / f"{spec.name}-folds-{number + 1}.npz", number + 1
    index, label, prediction = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    fold = np.repeat(np.arange(1, len(parts) + 1), [len(part[0]) for part in parts])
    order = np.argsort(index)
    arrays: dict[str, Any] = {"index": index, "label": label, "prediction": prediction, "fold": fold}
    with files.disk(path), files.replacing(path) as temporary:
        np.savez(temporary, **{name: array[order] for name, array in arrays.items()})
    terminal.console(error=launch.json).print(terminal.clean(f"out-of-fold predictions of {len(index):,} rows: {path}"))


class Report:
    """Errors of one of several specs, each problem once; that of a single one is raised. code: of the first of them.

    outcomes: those of the runs that have ended, by their place among all that are planned.
    """

    def __init__(self, of: int, json: bool) -> None:
        self._of, self._json, self._shown, self.code = of, json, set[str](), 0
        self.outcomes: dict[int, Outcome] = {}

    def add(self, error: DlxError) -> None:
        """Print what was wrong with a spec, and its line where the output is JSON."""
        from dlx.errors import SpecError
        from dlx.system import problems as shown

        if self._json and (self._of > 1 or not isinstance(error, SpecError)):
            from dlx.commands.training_screen import run_line

            print(run_line(None, "failed"), flush=True)
        if self._of == 1:
            raise error
        problems = error.problems if isinstance(error, SpecError) else [error]
        for problem in problems:
            if str(problem) not in self._shown:
                self._shown.add(str(problem))
                shown.show(problem)
        self.code = self.code or error.exit_code


def load_all(paths: Sequence[str], settings: Sequence[str], launch: Launch, report: Report) -> list[Spec]:
    """Every valid spec; what is wrong with the others is reported."""
    from dlx import spec as specs
    from dlx.errors import DlxError
    from dlx.runs.find import command_line
    from dlx.system import terminal
    from dlx.training.initial_weights import settled

    loaded: list[Spec] = []
    for path in paths:
        try:
            spec = settled(specs.load(path, settings), launch.root)
        except DlxError as error:
            report.add(error)
            continue
        if spec.sweep:
            hint = f"{command_line('dlx', 'sweep', path)} trains its alternatives of {', '.join(spec.sweep)}"
            terminal.console(error=True).print(terminal.clean(f"{spec.name} is trained without its sweep; {hint}"))
        loaded.append(spec.alone)
    return loaded


def run_all(planned: Sequence[Spec], launch: Launch, report: Report) -> int:
    """Run every spec; returns the exit code: of the first that did not end well, else 0."""
    from dlx.errors import DlxError
    from dlx.runs.find import command_line, ranges
    from dlx.system import files, signals, terminal

    files.check_writable(launch.root)
    trainer = _Trainer(planned, launch, report)
    stopped, names = "", list[str]()
    for number in range(len(planned)):
        if number in trainer.reported:
            continue
        if stopped := stopped or signals.Stop(trainer.options.deadline).reason:
            report.code = report.code or signals.code(stopped)
            terminal.console(error=True).print(f"stopped by {stopped}; {len(planned) - number} not started")
            break
        try:
            outcome = trainer.train(number)
        except DlxError as error:
            if number not in trainer.reported:
                report.add(error)
            continue
        names.append(outcome.run.name)
        report.outcomes[number] = outcome
        report.code, stopped = report.code or outcome.exit_code, outcome.stop
    if len(names) > 1:
        _summary(list(report.outcomes.values()), launch)
        compare = command_line("dlx", "compare", *ranges(names), runs_dir=launch.root)
        terminal.console(error=launch.json).print(f"\n{len(names)} runs; compare them:  {compare}")
    return report.code


def _summary(outcomes: Sequence[Outcome], launch: Launch) -> None:
    """Mean and deviation of the figures of runs that differ in the seed, the split or the fold alone."""
    from dlx.runs.compare import figure_names, fold
    from dlx.runs.summary import read
    from dlx.system import terminal

    for row in fold([read(outcome.run.path) for outcome in outcomes]):
        if len(row.entries) > 1:
            names = [name for name in figure_names([row]) if name.startswith(("val_", "test_"))]
            figures = ", ".join(f"{name} {row.shown(name)}" for name in names)
            out = terminal.console(error=launch.json)
            out.print()
            out.print(terminal.clean(f"{row.name}: {figures}"), style="bold")


def _parent(spec: Spec, root: Path) -> str | None:
    """The run whose spec this is, where it is that of a run of the runs folder."""
    place = spec.marks.get("", "").rpartition("spec.yaml:")[0]
    folder = Path(place) if place else None
    if folder is None or not (folder / "run.json").is_file() or folder.resolve().parent != root.resolve():
        return None
    return folder.resolve().name


def place_of(launch: Launch) -> Place | None:
    """The place that --on names; None for this machine."""
    if launch.hosts > 1 and (launch.on is None or launch.backend == "tensorflow"):
        raise click.UsageError("--hosts: several nodes of a cluster (--on ray://HOST:PORT) train together on JAX")
    if launch.on is None:
        return None
    from dlx.search.places import named

    return named.place(launch.on, launch.hosts)


class _Trainer:
    """Trains several specs one after another; what the last one compiled is kept for the next.

    reported: the numbers of those that only Keras could find something wrong with, before the first one trains.
    """

    def __init__(self, planned: Sequence[Spec], launch: Launch, report: Report) -> None:
        from dlx.commands.training_screen import RunScreen
        from dlx.training.session import Options

        self._planned, self._launch, self._begun = planned, launch, False
        self._place = place_of(launch)
        self.options = Options(["dlx", *sys.argv[1:]], RunScreen(launch.json), deadline=launch.deadline)
        self.report, self.reported = report, set[int]()

    def train(self, number: int) -> Outcome:
        from dlx.commands import training_screen
        from dlx.system import backend, terminal
        from dlx.training import experiment, resume, train

        spec, root, json = self._planned[number], self._launch.root, self._launch.json
        if (before := resume.unfinished(spec, root)) is not None:
            training_screen.remind(before, root, error=json)
        elif (done := resume.equal(spec, root, ("done",))) is not None:
            training_screen.repeats(done, error=json)
        with terminal.doing("reading the data"):
            prepared = experiment.prepare(spec)
        training_screen.show_plan(prepared, error=json, number=number + 1, of=len(self._planned))
        if self._place is not None:
            return self._elsewhere(prepared, self._place)
        if not self._begun:
            self._begun = True
            backend.load()
            if len(self._planned) > 1:
                self._check_all(number)
        outcome = train.train(prepared, root, dataclasses.replace(self.options, parent=_parent(spec, root)))
        if json:
            print(training_screen.run_line(outcome.run, outcome.status, outcome.run.metrics()), flush=True)
        return outcome

    def _elsewhere(self, prepared: Experiment, place: Place) -> Outcome:
        """Train at another place; what only Keras can find wrong with the spec is found here."""
        from dlx.commands import place_screen, training_screen
        from dlx.training.check import check

        check(prepared.spec, self._launch.root, prepared.facts)
        run, result = place_screen.train(prepared, place, self._launch, _parent(prepared.spec, self._launch.root))
        outcome = place_screen.outcome(run, result)
        begun = (run.path / "run.json").is_file()
        if not begun and outcome.error is not None:
            raise outcome.error
        if begun and outcome.status != "away":
            training_screen.show_result(prepared, outcome, self._launch.json)
        if self._launch.json:
            print(training_screen.run_line(run, outcome.status, outcome.metrics), flush=True)
        return outcome

    def _check_all(self, first: int) -> None:
        """Report what only Keras can find wrong with any of the specs; raises that of the `first`, which is next."""
        from dlx import spec as specs
        from dlx.errors import DataError, DlxError
        from dlx.training.check import check

        found: dict[str, DlxError | None] = {}
        for number, spec in enumerate(self._planned[first:], first):
            text = specs.dump(dataclasses.replace(spec, seed=0))
            if text not in found:
                found[text] = None
                try:
                    check(spec, self._launch.root)
                except DataError:
                    continue  # reported when its turn comes
                except DlxError as error:
                    found[text] = error
            if (problem := found[text]) is not None:
                self.reported.add(number)
                self.report.add(problem)
        first_problem = next(iter(found.values()))
        if first_problem is not None:
            raise first_problem
