"""`dlx baseline`: what simpler methods reach on a spec's splits."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dlx.commands import completion
from dlx.commands.options import Launch, launch_options, overrides

if TYPE_CHECKING:
    from dlx.insight.baselines import Baseline
    from dlx.training.experiment import Experiment


@click.command("baseline", short_help="What simpler methods reach on the same splits.")
@click.argument("spec", metavar="SPEC", shell_complete=completion.specs)
@overrides
@launch_options("json")
def command(spec: str, settings: tuple[str, ...], launch: Launch) -> None:
    """Fit simpler methods to the data of SPEC, on the very splits and preprocessing of its network.

    A guess (the most frequent class, the mean), a linear model, the five nearest neighbours, and gradient-boosted
    trees, by scikit-learn. Each is kept as a run without a network, which compare shows beside others; the same data,
    cut and scaled alike, has its baselines once. Very large data is fitted in part.

    \b
    dlx baseline digits.yaml
    dlx compare 'digits*'
    """
    from dlx import spec as specs
    from dlx.insight.baselines import baselines
    from dlx.insight.simple_models import METHODS
    from dlx.system import files, terminal
    from dlx.training.experiment import prepare

    launch.want()
    with terminal.doing("reading the data"):
        experiment = prepare(specs.load(spec, settings))
    files.check_writable(launch.root)
    found: list[Baseline] = []
    with terminal.Bar(len(METHODS), "methods fitted") as bar:
        for one in baselines(experiment, launch.root, ["dlx", *sys.argv[1:]]):
            found.append(one)
            bar.update(len(found))
    if launch.json:
        from dlx.commands.training_screen import run_line

        for one in found:
            print(run_line(one.run, one.run.status, one.run.metrics()))
        return
    _show(found, experiment, launch)


def _show(found: list[Baseline], experiment: Experiment, launch: Launch) -> None:
    """A line a method: its figures, on how many examples it was fitted, its run."""
    from dlx.runs.find import command_line
    from dlx.runs.metrics import figure_text, is_figure
    from dlx.system import terminal

    figures = [one.run.metrics() or {} for one in found]
    names = [name for name in figures[0] if is_figure(name)]
    rows = len(experiment.splits.train)
    columns = [("method", [one.method for one in found])]
    columns += [(name, [figure_text(name, float(made.get(name, float("nan")))) for made in figures]) for name in names]
    if any(one.rows < rows for one in found):
        columns.append((f"of {rows:,} rows", [f"{one.rows:,}" for one in found]))
    columns.append(("run", [one.run.name + ("" if one.made else ", made before") for one in found]))
    terminal.table(columns, [False, *(True for _ in columns[1:-1]), False])
    terminal.console().print()
    compare = command_line("dlx", "compare", *(one.run.name for one in found), "RUN", runs_dir=launch.root)
    terminal.fields([("next", compare)], least=12, style=terminal.SECONDARY)
