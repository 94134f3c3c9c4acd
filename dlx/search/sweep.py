"""`dlx sweep`: every combination of a spec's alternatives, one after another in one process.

What to try next (`trials`, any iterable) and where it runs (`Here`, a trial to a result) are all that the
loop in `sweep` knows.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.errors import DlxError
from dlx.parts import user_code as own
from dlx.parts.registry import FilePath
from dlx.runs import compare as comparison
from dlx.runs import run as runs
from dlx.runs.run import Run
from dlx.spec import grid, sections
from dlx.spec import parse as reading
from dlx.system import backend as backends
from dlx.system import signals
from dlx.system import terminal as display

if TYPE_CHECKING:
    from dlx.data.dataset import Dataset
    from dlx.training.experiment import Experiment

Trial = grid.Trial


@dataclass
class Result:
    """How a trial ended: its run, if there is one, and what was wrong."""

    status: str
    run: Run | None = None
    error: DlxError | None = None
    stop: str = ""
    fresh: bool = True

    @property
    def exit_code(self) -> int:
        if self.stop and self.status != "done":
            return signals.code(self.stop)
        return self.error.exit_code if self.error else 0


def sweep(
    trials: Iterable[Trial], place: Callable[[Trial], Result], tell: Callable[[Trial, Result], None]
) -> list[Result]:
    """Run the trials at a place, in their order; a failed one is told and the rest go on, a stop ends it."""
    results = []
    for trial in trials:
        results.append(place(trial))
        tell(trial, results[-1])
        if results[-1].stop:
            break
    return results


class Finished:
    """The finished runs of a folder: a trial of the same settings and data as one of them need not run again."""

    def __init__(self, root: Path, fingerprint: Callable[[sections.Spec], str | None]) -> None:
        self._root, self._fingerprint = root, fingerprint
        self._runs: dict[str, comparison.Entry] = {}
        for path in runs.below(root):
            entry = comparison.read(path)
            if entry.status == "done":
                self._runs[comparison.identity(entry.settings)] = entry

    def find(self, trial: Trial) -> Run | None:
        """The run that has the settings of a trial."""
        base = (self._root / "any").resolve()  # paths in a run are relative to it, and its code is in it
        code = {Path(path).name: own.hash_of(path) for path in trial.spec.imports}
        spec = dataclasses.replace(trial.spec, imports=[FilePath(base / "code" / name) for name in code])
        entry = self._runs.get(comparison.identity(sections.flat(sections.resolved(spec, str(base)))))
        if entry is None or (entry.info.get("code") or {}) != code:
            return None
        recorded = (entry.info.get("dataset") or {}).get("fingerprint")
        return Run(entry.path) if self._fingerprint(trial.spec) in (None, recorded) else None


class Here:
    """This process as the place: Keras is imported once, and the data is kept while it stays the same."""

    def __init__(self, root: Path, parent: str, watch: Callable[[], Any], deadline: float | None = None) -> None:
        self._root, self._parent, self._watch, self._deadline = root, parent, watch, deadline
        self._data: tuple[Any, Dataset] | None = None
        self.finished = Finished(root, self._fingerprint)

    def __call__(self, trial: Trial) -> Result:
        from dlx.training import train as training

        if (run := self.finished.find(trial)) is not None:
            return Result("done", run, fresh=False)
        if late := signals.Stop(self._deadline).reason:
            return Result("not begun", stop=late)
        try:
            outcome = self._resumed(trial.spec)
            if outcome is None:
                experiment = self.prepare(trial.spec)
                command = ["dlx", *sys.argv[1:]]
                outcome = training.train(
                    experiment, self._root, command, self._watch(), parent=self._parent, deadline=self._deadline
                )
        except DlxError as error:
            return Result("failed", error=error)
        return Result(outcome.status, outcome.run, outcome.error, outcome.stop)

    def _resumed(self, spec: sections.Spec) -> Any:
        """The outcome of going on with a trial that was stopped; None where there is none, or it is another one now."""
        from dlx.training import resume as resumption

        if (run := resumption.unfinished(spec, self._root)) is None:
            return None
        device = backends.load()  # this sweep's own, whatever the run was made on
        wanted = {"backend": device.backend, "device": device.device}
        try:
            return resumption.resume(run, wanted=wanted, observer=self._watch(), deadline=self._deadline)
        except DlxError:
            return None

    def _fingerprint(self, spec: sections.Spec) -> str | None:
        """That of the spec's data as it is now; None where it cannot be loaded."""
        try:
            return self._dataset(spec).fingerprint
        except DlxError:
            return None

    def _dataset(self, spec: sections.Spec) -> Dataset:
        """The data of a spec: that of the last one where it is the same."""
        from dlx.parts.datasets import loading as registry

        key = (spec.dataset, spec.task)
        if self._data is None or self._data[0] != key:
            self._data = (key, registry.load(spec.dataset, spec.task))
        return self._data[1]

    def prepare(self, spec: sections.Spec) -> Experiment:
        """The experiment of a spec."""
        from dlx.training import experiment as preparation

        return preparation.prepare(spec, self._dataset)


def run_sweep(
    path: str,
    settings: Sequence[str],
    *,
    tags: Sequence[str],
    dry_run: bool,
    as_json: bool,
    backend: str,
    device: str,
    folder: str | None,
    max_time: float | None = None,
) -> tuple[list[Run], int]:
    """Sweep a spec; returns the runs of its trials and the exit code: of the first that did not end well, else 0."""
    backends.want(backend, device)  # before a spec's own code loads Keras
    trials = [
        dataclasses.replace(trial, spec=dataclasses.replace(trial.spec, tags=[*trial.spec.tags, *tags]))
        for trial in grid.trials(path, settings)
    ]
    root = runs.root(folder)
    screen = _Screen(len(trials), as_json)
    deadline = signals.deadline(max_time)
    here = Here(root, trials[0].spec.name, screen.watch, deadline)
    missing = [trial for trial in trials if here.finished.find(trial) is None]
    _head(trials, missing, error=as_json)
    if dry_run:
        return [], _list(trials, here)
    results = sweep(trials, here, screen.tell)
    code = next((result.exit_code for result in results if result.exit_code), 0)
    if results and results[-1].stop and len(results) < len(trials):
        code = signals.code(results[-1].stop)
        display.console(error=True).print("stopped; the same command goes on with what is missing")
    return [result.run for result in results if result.run is not None], code


# What is shown


def _head(trials: Sequence[Trial], missing: Sequence[Trial], error: bool) -> None:
    spec = trials[0].spec
    out = display.console(error)
    out.print(spec.name, style="bold cyan")
    for line in display.wrapped(spec.description):
        out.print(line)
    values: dict[str, list[str]] = {}
    for trial in trials:
        for address, value in trial.settings.items():
            text = reading.write_value(value)
            if text not in values.setdefault(address, []):
                values[address].append(text)
    display.lines([(address, ", ".join(texts)) for address, texts in values.items()], error)
    done = len(trials) - len(missing)
    count = f"{len(trials)} combination{'s' * (len(trials) != 1)}"
    out.print(f"{count}, {done} of them finished before" if done else count)


def _list(trials: Sequence[Trial], here: Here) -> int:
    """The combinations with the seconds they took or will take, measured by training each for a moment.

    Returns the exit code of the first that cannot run, else 0.
    """
    from dlx.training import train as training

    backends.load()  # once a process, so it is no part of any combination's time
    taken: list[str] = []
    ahead = 0.0
    problems: list[tuple[Trial, DlxError]] = []
    with display.Bar(len(trials), "combinations measured") as bar:
        for number, trial in enumerate(trials, 1):
            run = here.finished.find(trial)
            if run is not None:
                seconds = (run.metrics() or {}).get("total_seconds")
                taken.append(f"done, took {_duration(float(seconds or 0))}")
            else:
                try:
                    wanted = training.estimate(here.prepare(trial.spec))
                    ahead += wanted
                    taken.append(f"about {_duration(wanted)}")
                except DlxError as error:
                    problems.append((trial, error))
                    taken.append("cannot run")
            bar.update(number)
    addresses = list(trials[0].settings)
    columns = [("", [str(number) for number in range(1, len(trials) + 1)])]
    for address in addresses:
        columns.append((address, [reading.write_value(trial.settings[address]) for trial in trials]))
    columns.append(("time", taken))
    display.table(columns, [True, *(True for _ in addresses), False])
    out = display.console()
    left = "nothing is left to run" if not problems else "none of the rest can run"
    out.print(f"about {_duration(ahead)} in all; nothing was kept" if ahead else left)
    for trial, problem in problems:
        display.console(error=True).print(display.clean_lines(f"{trial.label}: {problem}"))
    return problems[0][1].exit_code if problems else 0


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


class _Screen:
    """A bar while a trial trains, and a line when it has ended. The bar says which trial it is."""

    def __init__(self, of: int, as_json: bool) -> None:
        self._of, self._json, self._number = of, as_json, 0

    def watch(self) -> Any:
        """An Observer for one training."""
        from dlx.training import train as training

        count = f"{self._number + 1}/{self._of}"

        class Watcher(training.Observer):
            bar: display.Bar | None = None
            told = 0.0

            def started(self, run: Any, experiment: Experiment, device: str, parameters: int) -> None:
                self.bar = display.Bar(experiment.steps, "steps")
                self.bar.__enter__()
                self.told = time.monotonic()

            def progressed(self, experiment: Experiment, progress: Any) -> None:
                if self.bar is None or (
                    not sys.stderr.isatty() and time.monotonic() - self.told < display.QUIET_SECONDS
                ):
                    return
                self.told = time.monotonic()
                epoch = min(progress.step // experiment.steps_per_epoch + 1, experiment.epochs)
                words = f"{count}  epoch {epoch}/{experiment.epochs}"
                self.bar.update(progress.step, words, f"{words}  {progress.step / experiment.steps:.0%}")

            def ended(self, experiment: Experiment, outcome: Any) -> None:
                if self.bar is not None:
                    self.bar.__exit__()

        return Watcher()

    def tell(self, trial: Trial, result: Result) -> None:
        """A line for a trial that has ended."""
        self._number += 1
        out = display.console(error=self._json)
        count = f"{self._number:>{len(str(self._of))}}/{self._of}"
        metrics = (result.run.metrics() if result.run else None) or {}
        name = f"{result.run.name}: " if result.run else ""
        if result.status == "done":
            figures = "  ".join(f"{k} {comparison.number(float(metrics[k]))}" for k in _told(metrics))
            when = f"{metrics.get('total_seconds', 0):.1f} s" if result.fresh else "finished before"
            out.print(display.clean(f"{count}  {name}{trial.label}  {figures}  ({when})"))
        else:
            out.print(display.clean(f"{count}  {name}{trial.label}  {result.status}"), style="bold red")
            if result.error is not None:
                display.console(error=True).print(display.clean_lines(f"  {result.error}"))
        if self._json:
            path = str(result.run.path) if result.run else None
            print(display.as_json({"run": path, "status": result.status, "metrics": metrics}), flush=True)


def _told(metrics: dict[str, Any]) -> list[str]:
    """The last split's figures that there are: test, else validation, else train."""
    for split in ("test_", "val_", "train_"):
        keys = [k for k, v in metrics.items() if k.startswith(split) and comparison.is_figure(k) and v is not None]
        if keys:
            return keys
    return []
