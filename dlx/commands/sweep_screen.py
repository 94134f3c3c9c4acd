"""A sweep on the screen: its plan, and a line for each trial that has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlx.commands.training_screen import run_line
from dlx.engine.plan import Progress
from dlx.runs.metrics import figure_text, is_figure, unasked
from dlx.runs.run import Run
from dlx.search.sweep import Result
from dlx.spec import write_value
from dlx.spec.space import Trial
from dlx.system import problems, terminal
from dlx.system.units import duration
from dlx.training.experiment import Experiment
from dlx.training.outcome import Observer, Outcome
from dlx.training.progress_bar import TrainingBar

if TYPE_CHECKING:
    from dlx.model.network import Network


def show_plan(trials: Sequence[Trial], missing: Sequence[Trial], error: bool) -> None:
    """The alternatives, and how many combinations are left."""
    spec = trials[0].spec
    out = terminal.console(error)
    out.print(spec.name, style=terminal.HEADING)
    for line in terminal.wrapped(spec.description):
        out.print(line)
    values: dict[str, dict[str, None]] = {}
    for trial in trials:
        for address, value in trial.settings.items():
            values.setdefault(address, {})[write_value(value)] = None
    terminal.fields([(address, ", ".join(texts)) for address, texts in values.items()], error)
    done = len(trials) - len(missing)
    count = f"{len(trials)} combination{'s' * (len(trials) != 1)}"
    out.print(f"{count}, {done} of them finished before" if done else count)


class SweepScreen:
    """A bar while a trial trains, and a line when it has ended. The bar shows which trial it is."""

    def __init__(self, of: int, json: bool) -> None:
        self._of, self._json, self._number = of, json, 0

    def observer(self) -> Observer:
        """An Observer for the next training."""
        return _TrialBar(f"{self._number + 1}/{self._of}")

    def report(self, trial: Trial, result: Result) -> None:
        """A line for a trial that has ended."""
        self._number += 1
        out = terminal.console(error=self._json)
        count = f"{self._number:>{len(str(self._of))}}/{self._of}"
        metrics = (result.run.metrics() if result.run else None) or {}
        name = f"{result.run.name}: " if result.run else ""
        if result.status == "done":
            figures = [f"{k} {figure_text(k, float(metrics[k]))}" for k in _reported(metrics)[:2]]
            when = duration(float(metrics.get("total_seconds", 0))) if result.fresh else "finished before"
            lines = (
                "  ".join([f"{count}  {name}{trial.label}", *part, f"({when})"]) for part in (figures, figures[-1:])
            )
            line = next(
                (line for line in lines if terminal.cells(line) <= terminal.table_width()), f"{count}  {name}{when}"
            )
            out.print(terminal.clean(line))
        else:
            words = "is running in another process" if result.status == "running" else result.status
            out.print(
                terminal.clean(f"{count}  {name}{trial.label}  {words}"),
                style=terminal.ERROR * (words == result.status),
            )
            if result.error is not None:
                problems.show(f"  {result.error}")
        if self._json:
            print(run_line(result.run, result.status, metrics), flush=True)


class _TrialBar(Observer):
    """The bar of one trial."""

    def __init__(self, count: str) -> None:
        self._count = count
        self._bar: TrainingBar | None = None

    def started(self, run: Run, experiment: Experiment, device: str, network: Network) -> None:
        self._bar = TrainingBar(experiment, head=self._count, lines=False).open()

    def progressed(self, experiment: Experiment, progress: Progress) -> None:
        if self._bar is not None:
            self._bar.progressed(progress)

    def ended(self, experiment: Experiment, outcome: Outcome) -> None:
        if self._bar is not None:
            self._bar.close()


def _reported(metrics: Mapping[str, Any]) -> list[str]:
    """The figures to choose by: those of validation, else of test, else of train."""
    for split in ("val_", "test_", "train_"):
        keys = [k for k, v in metrics.items() if k.startswith(split) and is_figure(k) and v is not None]
        if keys:  # the loss and what the spec counts
            asked = [key for key in keys if not unasked(key, metrics)]
            return sorted(asked, key=lambda key: not key.endswith("_loss"))
    return []
