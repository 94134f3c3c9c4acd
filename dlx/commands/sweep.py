"""`dlx sweep`: every combination of a spec's alternatives, one after another in one process."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options, overrides

if TYPE_CHECKING:
    from dlx.commands.sweep_screen import SweepScreen
    from dlx.runs.run import Run
    from dlx.search.local import Here
    from dlx.search.study import Study
    from dlx.search.sweep import Place, Result
    from dlx.search.workers import Workers
    from dlx.spec.space import Trial
    from dlx.training.session import Options


@click.command("sweep", short_help="Train every combination of alternatives.")
@click.argument("spec", metavar="SPEC", shell_complete=completion.specs)
@overrides
@click.option(
    "--dry-run",
    is_flag=True,
    help="List the combinations with the time they will take: each is trained for a second, and nothing kept.",
)
@click.option("--search", "by", metavar="NAME", help="How: grid, random, tpe, gp, cma_es, nsga2, evolution.")
@click.option("--trials", type=click.IntRange(1), metavar="N", help="How many trials a search has in all.")
@click.option("--prune", metavar="NAME", help="End trials early that fall behind: asha, median, none.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, metavar="N", help="Train N trials at once.")
@click.option("--repeat", "repeats", type=click.IntRange(1), metavar="N", help="Train each trial with N seeds.")
@launch_options("json", "tags", "deadline")
def command(
    spec: str,
    settings: tuple[str, ...],
    dry_run: bool,
    jobs: int,
    launch: Launch,
    **search: str | int | None,
) -> int:
    """Try what SPEC varies in its `sweep` section, or -s does: lists, and ranges such as 'lr=log 1e-5..1e-1'.

    Without a search every combination is trained. Each trial is an ordinary run. One that fails is reported, and the
    rest continue. Started again, the sweep goes on: a finished run of the same settings counts, a stopped one
    continues.

    \b
    dlx sweep configs/moons_hidden_sizes.yaml
    dlx sweep configs/digits.yaml -s lr=0.001,0.01,0.1 -s layers.dropout.rate=0,0.2
    dlx sweep configs/digits.yaml -s 'lr=log 1e-4..1e-1' --search tpe --trials 20 --prune asha
    dlx sweep configs/digits.yaml -s lr=0.001,0.01 --dry-run
    """
    if dry_run and launch.json:
        raise click.UsageError("--dry-run prints a table, --json one object for each run; expected one of them")
    runs, code = sweep(spec, settings, search, (dry_run, jobs), launch)
    if len(runs) > 1 and not launch.json:
        from dlx.commands.compare import Shown, compare
        from dlx.runs.find import command_line, ranges
        from dlx.system import terminal

        print()
        compare([str(run.path) for run in runs], launch.root, Shown())
        _show_best(runs)
        print()
        again = command_line("dlx", "plot", *ranges(run.name for run in runs), runs_dir=launch.root)
        terminal.fields([("next", again)], style=terminal.SECONDARY)
    return code


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


def sweep(
    path: str, settings: Sequence[str], search: Mapping[str, Any], how: tuple[bool, int], launch: Launch
) -> tuple[list[Run], int]:
    """(the runs of the trials, the exit code: of the first that did not end well, else 0)."""
    from dlx import spec as specs
    from dlx.commands.sweep_screen import SweepScreen, show_plan
    from dlx.search.local import Here
    from dlx.search.study import study_of
    from dlx.search.sweep import sweep
    from dlx.system import files
    from dlx.training.session import Options

    launch.want()
    space = specs.space_of(path, settings, search)
    study = study_of(space, launch.root, lambda trial: _settled(trial, launch))
    screen = SweepScreen(study, launch.json)
    options = Options(["dlx", *sys.argv[1:]], parent=study.name, deadline=launch.deadline)
    here = Here(launch.root, options, screen.equip)
    study.measure = here.parameters
    show_plan(study, error=launch.json)
    dry_run, jobs = how
    if dry_run:
        return [], _list(list(study.fixed), here)
    files.check_writable(launch.root)
    with study.held():
        place: Place = here if jobs == 1 else _workers(study, jobs, options, launch, screen)
        try:
            results = sweep(study, place, screen.report)
        finally:
            place.close()
    return _runs(study, here), _code(study, results)


def _workers(study: Study, jobs: int, options: Options, launch: Launch, screen: SweepScreen) -> Workers:
    """Processes beside this one."""
    from dlx.search.workers import Workers
    from dlx.system import backend

    backend_name = backend.choose(launch.backend, launch.device)
    hello = {
        "root": str(launch.root), "command": list(options.command), "parent": options.parent,
        "backend": backend_name, "device": launch.device,
    }  # fmt: skip
    return Workers(study, jobs, hello, screen.heard)


def _code(study: Study, results: Sequence[Result]) -> int:
    """The exit code, and why the sweep ended before its time."""
    from dlx.system import signals, terminal

    out = terminal.console(error=True)
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


def _runs(study: Study, here: Here) -> list[Run]:
    """The runs of all trials, in their order; what another process has ended by now is among them."""
    from dlx.runs.run import Run
    from dlx.system import terminal

    here.finished.refresh()
    found, still = [], 0
    for observation in study.observations:
        run = here.finished.find(study.trials[observation.number].spec) if observation.status == "running" else None
        still += observation.status == "running" and run is None
        found += [run.path] if run is not None else observation.runs
    if still:
        words = f"{still} combination{'s' * (still > 1)} still running in another process; not in what follows"
        terminal.console(error=True).print(words)
    return [Run(path) for path in dict.fromkeys(found)]


def _settled(trial: Trial, launch: Launch) -> Trial:
    """The trial with the tags of the command, and with the run whose weights it begins from found."""
    from dlx.training.initial_weights import settled

    spec = settled(trial.spec, launch.root)
    return dataclasses.replace(trial, spec=dataclasses.replace(spec, tags=[*spec.tags, *launch.tags]))


def _list(trials: Sequence[Trial], here: Here) -> int:
    """The combinations with the seconds they took or will take, measured by training each for a moment.

    Returns the exit code of the first that cannot run, else 0.
    """
    from dlx.errors import DlxError
    from dlx.spec import write_value
    from dlx.system import backend, terminal
    from dlx.system import problems as problem_screen
    from dlx.system.units import duration
    from dlx.training.estimate import estimate
    from dlx.training.program_cache import ProgramCache

    backend.load()  # once a process, so it is not a part of any combination's time
    times, ahead, cache = list[str](), 0.0, ProgramCache()
    problems: list[tuple[Trial, DlxError]] = []
    with terminal.Bar(len(trials), "combinations measured") as bar:
        for number, trial in enumerate(trials, 1):
            run = here.finished.find(trial.spec)
            if run is not None:
                seconds = (run.metrics() or {}).get("total_seconds")
                times.append(f"done, took {duration(float(seconds or 0))}")
            else:
                try:
                    seconds = estimate(here.prepare(trial.spec), cache)
                    ahead += seconds
                    times.append(f"about {duration(seconds)}")
                except DlxError as error:
                    problems.append((trial, error))
                    times.append("cannot run")
            bar.update(number)
    addresses = list(trials[0].settings)
    columns = [("", [str(number) for number in range(1, len(trials) + 1)])]
    for address in addresses:
        columns.append((address, [write_value(trial.settings[address]) for trial in trials]))
    terminal.table([*columns, ("time", times)], [True, *(True for _ in addresses), False])
    left = "nothing is left to run" if not problems else "none of the rest can run"
    terminal.console().print(f"about {duration(ahead)} in all; nothing was kept" if ahead else left)
    for trial, problem in problems:
        problem_screen.show(f"{trial.label}: {problem}")
    return problems[0][1].exit_code if problems else 0
