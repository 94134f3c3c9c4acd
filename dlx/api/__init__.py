"""What `import dlx` offers: run, load, predict, compare."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dlx.runs import find
from dlx.runs.run import Run
from dlx.runs.summary import records

if TYPE_CHECKING:
    import numpy as np

    from dlx.inference.predictor import Predictor
    from dlx.training.program_cache import ProgramCache

Place = str | os.PathLike[str]


@functools.cache
def _programs() -> ProgramCache:
    """What the last run compiled: the next one in this process uses it again where it differs in numbers alone."""
    from dlx.training.program_cache import ProgramCache

    return ProgramCache()


def run(spec: Place, runs_dir: Place | None = None, **overrides: Any) -> Run:
    """Train a spec file; returns its Run. `lr=0.1`, or `**{"layers.dropout.rate": 0.3}`, overrides it.

    Raises SpecError, DataError or TrainingError, each with what to try next.
    """
    from dlx.spec import write_value
    from dlx.training.train import train_file

    texts = [f"{key}={write_value(value)}" for key, value in overrides.items()]
    outcome = train_file(str(spec), find.root(runs_dir), texts, _programs())
    if outcome.error is not None:
        raise outcome.error
    if outcome.stop:
        raise KeyboardInterrupt
    return outcome.run


def load(path: Place) -> Predictor:
    """A trained run's Predictor: `.predict(array)` gives probabilities or values, `.run` is the Run."""
    from dlx.inference.predictor import load_predictor

    return load_predictor(Run.open(path))


def predict(path: Place, array: Any) -> np.ndarray:
    """`load(path).predict(array)`."""
    return load(path).predict(array)


def compare(paths: Iterable[Place]) -> list[dict[str, Any]]:
    """What `dlx compare --json` prints of the runs: run, status, settings and metrics of each."""
    return records([str(path) for path in paths])
