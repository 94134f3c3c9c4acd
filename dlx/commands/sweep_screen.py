"""A sweep on the screen: its plan, and a line for each trial that has ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dlx.commands.sweep_live import SweepLive
from dlx.commands.training_screen import run_line
from dlx.engine.plan import Progress
from dlx.runs.metrics import figure_text, is_figure, unasked
from dlx.runs.run import Run
from dlx.search.study import Study, Task
from dlx.search.sweep import Result
from dlx.spec.space import Trial
from dlx.system import problems, terminal
from dlx.system.units import duration
from dlx.training.experiment import Experiment
from dlx.training.outcome import Observer, Outcome
from dlx.training.progress_bar import TrainingBar
from dlx.training.session import Options

if TYPE_CHECKING:
    from dlx.model.network import Network


def show_plan(study: Study, error: bool) -> None:
    """What varies, how it is searched, and how much is left."""
    space, out = study.space, terminal.console(error)
    out.print(study.name, style=terminal.HEADING)
    description = space.root.value.get("description")
    for line in terminal.wrapped(str(description.value) if description is not None and description.value else ""):
        out.print(line)
    varied = [
        (d.name, d.range.text if d.range is not None else ", ".join(d.written))
        for d in space.dimensions
        if d.parent is None
    ]
    terminal.fields(varied, error)
    done = sum(observation.status in ("done", "pruned") for observation in study.observations)
    if study.ledger is None:
        count = f"{len(study.fixed)} combination{'s' * (len(study.fixed) != 1)}"
        out.print(f"{count}, {done} of them finished before" if done else count)
        return
    search = study.search
    words = f"{search.by}: {search.trials} trials by {', '.join(study.objectives)}"
    words += f", {search.repeats} seeds each" if search.repeats > 1 else ""
    words += f", pruned by {search.prune.by}" if search.prune else ""
    out.print(f"{words}; {done} of them finished before" if done else words)


class SweepScreen:
    """A bar while a trial trains, and a line when it has ended. The bar shows which trial it is."""

    def __init__(self, study: Study, json: bool) -> None:
        self._study, self._json, self._number = study, json, 0
        trials = len(study.fixed) or study.search.trials or 0
        self._of = trials * study.search.repeats
        self._ended: set[tuple[int, int]] = set()
        self.live = SweepLive(study)
        self.together = study.ledger is not None  # the lines of a search, instead of a bar for each training

    def equip(self, options: Options, task: Task) -> Options:
        """The options of a trial's training, and who watches it."""
        observer = _Live(self.live, task) if self.together else self.observer()
        return dataclasses.replace(self._study.equip(options, task), observer=observer)

    def heard(self, task: Task, event: Mapping[str, Any]) -> None:
        """What a worker says of a training."""
        if event["event"] == "rows" and event["rows"]:
            self.live.goes(task, f"epoch {event['rows'][-1]['epoch']}")
        elif event["event"] == "begun":
            self.live.goes(task)

    def noted(self, line: str) -> None:
        """What a person should know of a place."""
        with self.live.aside():
            terminal.console(error=True).print(terminal.clean(line))

    def observer(self) -> Observer:
        """An Observer for the next training."""
        self._number += 1
        return _TrialBar(f"{self._number}/{self._of}")

    def report(self, task: Task, result: Result) -> None:
        """A line for a training that has ended."""
        self.live.ends(task)
        with self.live.aside():
            self._report(task, result)

    def _report(self, task: Task, result: Result) -> None:
        trial = task.trial
        out = terminal.console(error=self._json)
        self._ended.add((task.number, task.repeat))
        number = sum(repeat >= 0 for _, repeat in self._ended)
        count = f"{number:>{len(str(self._of))}}/{self._of}" if task.repeat >= 0 else f"seed {-task.repeat} again"
        metrics = (result.run.metrics() if result.run else None) or {}
        name = f"{result.run.name}: " if result.run else ""
        if result.status == "done":
            out.print(terminal.clean(self._line(f"{count}  {name}", trial, metrics, result)))
        else:
            words = "is running in another process" if result.status == "running" else result.status
            words += f" ({result.why})" if result.why else ""
            out.print(
                terminal.clean(f"{count}  {name}{trial.label}  {words}"),
                style=terminal.ERROR * (result.status in ("failed", "interrupted")),
            )
            if result.error is not None:
                problems.show(f"  {result.error}")
        if self._json:
            print(run_line(result.run, result.status, metrics), flush=True)

    def _line(self, head: str, trial: Trial, metrics: Mapping[str, Any], result: Result) -> str:
        """A finished trial in a line that fits: the objective first, what it chose shortened where there is no room."""
        names = list(dict.fromkeys([*filter(metrics.get, self._study.objectives), *_reported(metrics)[:2]]))
        figures = [f"{k} {figure_text(k, float(metrics[k]))}" for k in names if is_figure(k)][:2]
        lanes = (result.run.info().get("lanes") if result.run else None) if result.fresh else None
        when = duration(float(metrics.get("total_seconds", 0))) if result.fresh else "finished before"
        when += f", {lanes} at once" if lanes else ""
        for part in (figures, figures[:1]):
            line = "  ".join([f"{head}{trial.label}", *part, f"({when})"])
            if terminal.cells(line) <= terminal.table_width():
                return line
        room = terminal.table_width() - terminal.cells("  ".join([head, *figures[:1], f"({when})"]))
        return "  ".join([f"{head}{terminal.shortened(trial.label, max(room, 12))}", *figures[:1], f"({when})"])


class _Live(Observer):
    """A training's epochs in the lines of a search."""

    def __init__(self, live: SweepLive, task: Task) -> None:
        self._live, self._task = live, task

    def started(self, run: Run, experiment: Experiment, device: str, network: Network) -> None:
        self._live.goes(self._task)

    def progressed(self, experiment: Experiment, progress: Progress) -> None:
        self._live.goes(self._task, f"epoch {progress.epochs} of {experiment.epochs}")


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
