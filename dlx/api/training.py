"""Trainings from Python: run, resume, sweep, check."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dlx.api.comparison import Comparison
from dlx.api.result import Place, Run, load
from dlx.runs import find
from dlx.runs.summary import read

if TYPE_CHECKING:
    from dlx.spec import Source, Spec
    from dlx.training.outcome import Outcome
    from dlx.training.program_cache import ProgramCache
    from dlx.training.session import Options


def run(spec: Source, runs_dir: Place | None = None, verbose: int = 1, **settings: object) -> Run:
    """Train a spec; returns its Run.

    spec: a file, a mapping as a file would hold it, or a Spec. settings: `lr=0.1`, or `**{"layers.dropout.rate": 0.3}`
    by address. verbose: 0 shows nothing, 1 a bar in a notebook or a terminal and a few lines elsewhere, 2 a line for
    each epoch.

    Raises SpecError, DataError or TrainingError, each with what to try next. Ctrl-C stops the training, keeps the run,
    and raises KeyboardInterrupt.
    """
    from dlx.training.experiment import prepare
    from dlx.training.train import train

    root = find.root(runs_dir)
    return _ended(train(prepare(_loaded(spec, settings, root)), root, _options(verbose)))


def resume(word: Run | Place, runs_dir: Place | None = None, verbose: int = 1, **settings: object) -> Run:
    """Continue a run that was stopped; with settings (epochs=100) train it further, as a child run. Returns the Run.

    Raises RunError where it cannot continue exactly as it was.
    """
    from dlx.training.resume import resume as continued

    chosen = word if isinstance(word, Run) else load(word, runs_dir)
    device = {"backend": "auto", "device": "auto"}
    return _ended(continued(chosen._directory, _texts(settings), device=device, options=_options(verbose)))


def sweep(spec: Source, runs_dir: Place | None = None, verbose: int = 1, **settings: object) -> Comparison:
    """Train every combination of the spec's `sweep`, and of settings that are lists (lr=[0.1, 0.01]); returns them.

    A combination that is done is not trained again. One that fails is left out, as `dlx sweep` does.
    """
    from dlx.search.places.local import Here
    from dlx.search.setup import study_of
    from dlx.search.sweep import sweep as trained
    from dlx.spec import space_of, write_value
    from dlx.training.initial_weights import settled

    root = find.root(runs_dir)
    texts = []
    for address, value in settings.items():
        several = value if isinstance(value, (list, tuple)) else [value]
        texts.append(f"{address}={','.join(map(write_value, several))}")
    settle = lambda trial: dataclasses.replace(trial, spec=settled(trial.spec, root))  # noqa: E731
    space = space_of(spec, texts)
    options = dataclasses.replace(_options(verbose), parent=space.name)
    here = Here(root, options, lambda options, task: study.equip(options, task))
    study = study_of(space, root, settle, here.fingerprint)
    study.measure = here.parameters
    with study.held():
        results = trained(study, here, lambda task, result: None)
    if results and results[-1].stop:
        raise KeyboardInterrupt
    runs = dict.fromkeys(path for observation in study.observations for path in observation.runs)
    return Comparison(read(path) for path in runs)


def check(spec: Source, **settings: object) -> Spec:
    """The spec, whole, after all that `dlx check` finds wrong was looked for. Raises SpecError with every problem."""
    from dlx.training.check import check as checked

    loaded = _loaded(spec, settings, find.root(None))
    checked(loaded, find.root(None))
    return loaded


def _loaded(spec: Source, settings: Mapping[str, object], root: os.PathLike[str]) -> Spec:
    from pathlib import Path

    from dlx import spec as specs
    from dlx.training.initial_weights import settled

    return settled(specs.load(spec, _texts(settings)).alone, Path(root))


def _texts(settings: Mapping[str, object]) -> Sequence[str]:
    from dlx.spec import write_value

    return [f"{address}={write_value(value)}" for address, value in settings.items()]


@functools.cache
def _programs() -> ProgramCache:
    """What the last run compiled: the next one in this process uses it again where it differs in numbers alone."""
    from dlx.training.program_cache import ProgramCache

    return ProgramCache()


def _options(verbose: int) -> Options:
    from dlx.api.progress import Shown
    from dlx.training.outcome import Observer
    from dlx.training.session import Options

    return Options(sys.argv[:1], observer=Shown(verbose) if verbose else Observer(), cache=_programs())


def _ended(outcome: Outcome) -> Run:
    """The Run of a training that ended well; raises what ended it otherwise."""
    if outcome.error is not None:
        raise outcome.error
    if outcome.stop:
        raise KeyboardInterrupt
    return Run(outcome.run.path)
