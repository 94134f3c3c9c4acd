"""This process as the place of a sweep."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlx.data.dataset import Dataset
from dlx.errors import DlxError
from dlx.parts.datasets import loading
from dlx.parts.registry import FilePath
from dlx.runs import find
from dlx.runs.run import Run
from dlx.runs.summary import Entry, identity, read
from dlx.search.sweep import Result
from dlx.spec.grid import Trial
from dlx.spec.sections import Spec, flat, resolved
from dlx.system import backend, signals
from dlx.training.experiment import Experiment, prepare
from dlx.training.outcome import Observer, Outcome
from dlx.training.resume import resume, unfinished
from dlx.training.session import Options
from dlx.training.train import train


class Finished:
    """The finished runs of a folder: a trial of the same settings and data as one of them need not run again."""

    def __init__(self, root: Path, fingerprint: Callable[[Spec], str | None]) -> None:
        self._root, self._fingerprint = root, fingerprint
        self._runs: dict[str, Entry] = {}
        for path in find.below(root):
            entry = read(path)
            if entry.status == "done":
                self._runs[identity(entry.settings)] = entry

    def find(self, trial: Trial) -> Run | None:
        """The run that has the settings of a trial."""
        base = (self._root / "any").resolve()  # paths in a run are relative to it, and its code is in it
        code = trial.spec.code.digests()
        spec = dataclasses.replace(trial.spec, imports=[FilePath(base / "code" / name) for name in code])
        entry = self._runs.get(identity(flat(resolved(spec, str(base)))))
        if entry is None or (entry.info.get("code") or {}) != code:
            return None
        recorded = (entry.info.get("dataset") or {}).get("fingerprint")
        return Run(entry.path) if self._fingerprint(trial.spec) in (None, recorded) else None


class Here:
    """This process: Keras is imported once, and the data and the compiled program are kept while they fit."""

    def __init__(self, root: Path, options: Options, observer: Callable[[], Observer]) -> None:
        self._root, self._options, self._observer = root, options, observer
        self._data: tuple[Any, Dataset] | None = None
        self.finished = Finished(root, self._fingerprint)

    def __call__(self, trial: Trial) -> Result:
        if (run := self.finished.find(trial)) is not None:
            return Result("done", run, fresh=False)
        if late := signals.Stop(self._options.deadline).reason:
            return Result("not begun", stop=late)
        try:
            outcome = self._resumed(trial.spec)
            if outcome is None:
                outcome = train(self.prepare(trial.spec), self._root, self._watched())
        except DlxError as error:
            return Result("failed", error=error)
        return Result(outcome.status, outcome.run, outcome.error, outcome.stop)

    def _watched(self) -> Options:
        return dataclasses.replace(self._options, observer=self._observer())

    def _resumed(self, spec: Spec) -> Outcome | None:
        """The outcome of continuing a trial that was stopped; None where there is none, or it differs by now."""
        if (run := unfinished(spec, self._root)) is None:
            return None
        device = backend.load()  # this sweep's, whatever the run was made on
        try:
            return resume(run, device={"backend": device.backend, "device": device.device}, options=self._watched())
        except DlxError:
            return None

    def _fingerprint(self, spec: Spec) -> str | None:
        """That of the spec's data as it is now; None where it cannot be loaded."""
        try:
            return self._dataset(spec).fingerprint
        except DlxError:
            return None

    def _dataset(self, spec: Spec) -> Dataset:
        """The data of a spec: that of the last one where it is the same."""
        key = (spec.dataset, spec.task)
        if self._data is None or self._data[0] != key:
            self._data = (key, loading.load(spec.dataset, spec.task, spec.registries["dataset"]))
        return self._data[1]

    def prepare(self, spec: Spec) -> Experiment:
        """The experiment of a spec."""
        return prepare(spec, self._dataset)
