"""`dlx sweep`: every combination of a spec's alternatives, or a search among them."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options, overrides

if TYPE_CHECKING:
    from dlx.runs.run import Run
    from dlx.search.places.workers import Workers
    from dlx.search.sweep import Place, Result
    from dlx.spec.space import Trial


@click.command("sweep", short_help="Train what a spec varies; search for the best.")
@click.argument("spec", metavar="SPEC", shell_complete=completion.specs)
@overrides
@click.option("--search", "by", metavar="NAME", help="How: grid, random, tpe, gp, cma_es, nsga2, evolution.")
@click.option("--trials", type=click.IntRange(1), metavar="N", help="How many trials a search has in all.")
@click.option("--prune", metavar="NAME", help="End trials early that fall behind: asha, median, none.")
@click.option("--repeat", "repeats", type=click.IntRange(1), metavar="N", help="Train each trial with N seeds.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, metavar="N", help="Train N trials at once.")
@click.option(
    "--lanes", type=click.IntRange(0, 4096), metavar="N", help="Train N small trials as one program (JAX); 0: never."
)
@click.option("--status", is_flag=True, help="Show how far the sweep is, also while it runs; train nothing.")
@click.option(
    "--export-study", "study_file", metavar="FILE", help="Write the trials as an Optuna storage; train nothing."
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="List the combinations with the time they will take: one of each structure trains for a second.",
)
@launch_options("json", "tags", "devices", "on", "deadline")
def command(
    spec: str,
    settings: tuple[str, ...],
    jobs: int,
    lanes: int | None,
    status: bool,
    study_file: str | None,
    dry_run: bool,
    launch: Launch,
    **search: str | int | None,
) -> int:
    """Try what SPEC varies in its `sweep` section, or -s does: lists, and ranges such as 'lr=log 1e-5..1e-1'.

    Without a search every combination is trained. Each trial is an ordinary run. One that fails is reported, and the
    rest continue. Started again, the sweep goes on: a finished run of the same settings counts, a stopped one
    continues.

    \b
    dlx sweep moons_hidden_sizes.yaml
    dlx sweep digits.yaml -s lr=0.001,0.01,0.1 -s layers.dropout.rate=0,0.2
    dlx sweep digits.yaml -s 'lr=log 1e-4..1e-1' --search tpe --trials 20 --prune asha
    dlx sweep digits.yaml -s lr=0.001,0.01 --dry-run
    """
    if sum((dry_run, status, study_file is not None)) > 1:
        raise click.UsageError("expected one of --dry-run, --status and --export-study")
    if launch.json and (dry_run or status):
        raise click.UsageError("--dry-run and --status print tables, --json one object for each run; expected one")
    sweep = _Sweep(spec, settings, search, launch)
    sweep.prefer(lanes)
    if study_file is not None:
        return sweep.export(study_file)
    if status:
        return sweep.status()
    if dry_run:
        return sweep.estimate()
    if jobs > 1 and launch.on is not None:
        raise click.UsageError("--on and --jobs: how many train at once is the place's own: jobs, in dlx.places.yaml")
    code = sweep.run(jobs)
    if not launch.json:
        sweep.show()
    return code


class _Sweep:
    """A sweep as the command line asks for it. Raises SpecError with every problem before anything trains."""

    def __init__(self, path: str, settings: Sequence[str], search: Mapping[str, Any], launch: Launch) -> None:
        from dlx import spec as specs
        from dlx.commands.sweep_screen import SweepScreen
        from dlx.search.places.local import Here
        from dlx.search.setup import study_of
        from dlx.training.session import Options

        launch.want()
        self._launch = launch
        space = specs.space_of(path, settings, search)
        self._options = Options(["dlx", *sys.argv[1:]], parent=space.name, deadline=launch.deadline)
        self._here = Here(launch.root, self._options, lambda options, task: self._screen.equip(options, task))
        self.study = study_of(space, launch.root, lambda trial: _settled(trial, launch), self._here.fingerprint)
        self.study.measure = self._here.parameters
        if self.study.ledger is not None:
            self.study.sampler  # noqa: B018 - what it cannot search it says now
        self._screen = SweepScreen(self.study, launch.json)

    def prefer(self, lanes: int | None) -> None:
        """The backend where the command names none, and how many trainings at once are one program.

        JAX, where nothing convolves and there are many trials: it starts them in a fraction of the time. A sweep keeps
        what its first trials were trained with.
        """
        from dlx.search import preference
        from dlx.system import backend

        chosen = preference.backend_of(self.study, self._launch.backend, self._launch.device)
        if chosen != self._launch.backend and not backend.loaded():
            self._launch = dataclasses.replace(self._launch, backend=chosen)
            self._launch.want()
        self._here.slots = preference.lanes_of(self.study, chosen, self._launch.device, lanes)

    def run(self, jobs: int) -> int:
        """Train what is missing. Returns the exit code: of the first that did not end well, else 0."""
        from dlx.commands.sweep_screen import show_plan
        from dlx.search.sweep import Result, sweep
        from dlx.system import files

        show_plan(self.study, error=self._launch.json)
        files.check_writable(self._launch.root)
        if self.study.ledger is None or self._launch.json:
            for task, run, status in self.study.finished():
                self._screen.report(task, Result(status, run, fresh=False))
        with self.study.held():
            place: Place = self._elsewhere() if self._launch.on else self._here if jobs == 1 else self._workers(jobs)
            self._screen.together |= place.slots > 1
            try:
                with self._screen.live if self._screen.together else contextlib.nullcontext():
                    results = sweep(self.study, place, self._screen.report)
            finally:
                place.close()
        return self._code(results)

    def _elsewhere(self) -> Place:
        """Another place. Raises PlaceError where it cannot be reached, or lacks something."""
        from dlx.commands.place_screen import reached, told
        from dlx.search.places import named
        from dlx.search.places.elsewhere import Elsewhere

        launch = self._launch
        place = named.place(str(launch.on))
        with reached(place):
            host = named.connect(place)
            host.prepare()
        hello = {**told(launch, list(self._options.command), self._options.parent), "root": str(launch.root)}
        return Elsewhere(self.study, host, hello, self._screen.heard, self._screen.noted, launch.deadline)

    def _workers(self, jobs: int) -> Workers:
        """Processes beside this one."""
        from dlx.search.places.workers import Workers
        from dlx.system import backend

        launch = self._launch
        hello = {
            "root": str(launch.root), "command": list(self._options.command), "parent": self._options.parent,
            "backend": backend.choose(launch.backend, launch.device), "device": launch.device,
            "devices": launch.devices,
        }  # fmt: skip
        return Workers(self.study, jobs, hello, self._screen.heard, launch.deadline)

    def _code(self, results: Sequence[Result]) -> int:
        """The exit code, and why the sweep ended before its time."""
        from dlx.system import signals, terminal

        study, out = self.study, terminal.console(error=True)
        code = next((result.exit_code for result in results if result.exit_code), 0)
        stop = next((result.stop for result in results if result.stop), "")
        if study.hopeless:
            out.print(terminal.clean(f"ended: {study.hopeless}"))
        if study.exhausted:
            out.print(f"every combination has been tried: {len(study.observations)}")
        if stop and study.left:
            code = signals.code(stop)
            out.print("stopped; the same command continues with what is missing")
        return code

    def show(self) -> None:
        """What came of it: of a grid every run, of a search the best."""
        from dlx.commands import search_screen

        runs = self._runs()
        if self.study.ledger is not None:
            search_screen.show(self.study, self._launch.root)
        elif len(runs) > 1:
            from dlx.commands.compare import Shown, compare
            from dlx.runs.find import command_line, ranges
            from dlx.system import terminal

            print()
            compare([str(run.path) for run in runs], self._launch.root, Shown())
            _show_best(runs)
            print()
            again = command_line("dlx", "plot", *ranges(run.name for run in runs), runs_dir=self._launch.root)
            terminal.fields([("next", again)], style=terminal.SECONDARY)

    def _runs(self) -> list[Run]:
        """The runs of all trials, in their order; what another process has ended by now is among them."""
        from dlx.runs.run import Run
        from dlx.system import terminal

        finished = self._here.finished
        finished.refresh()
        found, still = list[Any](), 0
        for observation in self.study.observations:
            away = observation.status == "running"
            run = finished.find(self.study.trials[observation.number].spec) if away else None
            still += away and run is None
            found += [run.path] if run is not None else observation.runs
        if still:
            words = f"{still} combination{'s' * (still > 1)} still running in another process; not in what follows"
            terminal.console(error=True).print(words)
        return [Run(path) for path in dict.fromkeys(found)]

    def status(self) -> int:
        """How far it is."""
        from dlx.commands import search_screen
        from dlx.commands.sweep_screen import show_plan

        show_plan(self.study, error=False)
        search_screen.show(self.study, self._launch.root)
        return 0

    def export(self, file: str) -> int:
        """Write an Optuna storage."""
        from pathlib import Path

        from dlx.search import winner
        from dlx.system import terminal

        count = winner.export(self.study, Path(file))
        words = f"{count} trials of {self.study.name}: {file}; optuna-dashboard sqlite:///{file} shows them"
        terminal.console(error=self._launch.json).print(terminal.clean(words))
        return 0

    def estimate(self) -> int:
        """The trials with the time they will take; of a search, of as many as it has."""
        from dlx.commands.sweep_estimate import show
        from dlx.commands.sweep_screen import show_plan

        show_plan(self.study, error=False)
        return show(self.study, self._here)


def _show_best(runs: Sequence[Run]) -> None:
    """The best run by the figure that the trainings were steered by; test figures choose nothing."""
    from dlx.runs.compare import Row, best_rows, unlike_penalties
    from dlx.runs.metrics import figure_text
    from dlx.runs.summary import read
    from dlx.system import terminal

    rows = [Row([read(run.path)]) for run in runs]
    monitors = {str(row.first.info.get("monitor", "")) for row in rows}
    monitor = monitors.pop() if len(monitors) == 1 else ""
    if monitor.endswith("_loss") and unlike_penalties(rows):
        monitor = monitor.replace("_loss", "_data_loss")
    best = best_rows(rows, monitor)
    if best:
        names = ", ".join(row.name for row in best)
        figure = figure_text(monitor, best[0].figure(monitor) or 0.0)
        print()
        terminal.console().print(terminal.clean(f"best by {monitor}: {names}  {figure}"))


def _settled(trial: Trial, launch: Launch) -> Trial:
    """The trial with the tags of the command, and with the run whose weights it begins from found."""
    from dlx.training.initial_weights import settled

    spec = settled(trial.spec, launch.root)
    return dataclasses.replace(trial, spec=dataclasses.replace(spec, tags=[*spec.tags, *launch.tags]))
