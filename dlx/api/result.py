"""A run as Python sees it: its figures, its model, its predictions, its pictures."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from dlx.api import page
from dlx.runs import find
from dlx.runs import run as directory

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

    from dlx.inference.predictor import Predictor
    from dlx.plots.subject import Subject
    from dlx.spec import Spec
    from dlx.system.backend import keras

    Table: TypeAlias = pd.DataFrame | Mapping[str, Sequence[object]]
    Inputs: TypeAlias = np.ndarray | Table | Sequence[str] | Sequence[os.PathLike[str]] | str | os.PathLike[str]

Place = str | os.PathLike[str]
Kind = Literal[
    "overview", "curves", "settings", "boundary", "confusion", "probabilities", "residuals", "forecast", "mistakes",
    "filters", "activations", "network", "layers",
]  # fmt: skip


class Run:
    """A run: its directory, and all that came of it.

        run = dlx.load("latest")
        run.metrics["val_accuracy"]
        run.history.plot(y=["train_loss", "val_loss"])
        run.predict(images)

    What is read is read when it is asked for. Raises RunError for a directory that is no run.
    """

    def __init__(self, path: Place) -> None:
        self._directory = directory.Run.open(path)

    @property
    def path(self) -> Path:
        """Its directory."""
        return self._directory.path

    @property
    def name(self) -> str:
        """What commands call it: digits-1."""
        return self._directory.name

    @property
    def status(self) -> str:
        """done, failed, interrupted, running, crashed, away, or unknown where another host may be at it."""
        return self._directory.status

    @property
    def metrics(self) -> dict[str, float]:
        """The final figures: val_accuracy, test_loss, best_epoch, train_seconds, …; empty where it has not finished."""
        return self._directory.metrics() or {}

    @property
    def settings(self) -> dict[str, object]:
        """Every setting by its address: {"lr": 0.001, "layers.1.dense.units": 128, …}."""
        return dict(self._directory.info()["settings"])

    @property
    def info(self) -> dict[str, object]:
        """run.json: versions, device, data, classes, and all else that made the run."""
        return self._directory.info()

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch: step, train_loss, val_accuracy, learning_rate, seconds, …; the index is the epoch, from 1."""
        return _frame(self._directory.history(), "epoch")

    @property
    def steps(self) -> pd.DataFrame:
        """The rows of `log_every`; the index is the step, from 1. Empty without them."""
        return _frame(self._directory.steps.rows(), "step")

    @property
    def remark(self) -> dict[str, str] | None:
        """What happened: `rule`, `message`, and the `command` that tries a remedy; None where nothing is to say."""
        from dlx.insight import evidence, remarks

        return remarks.record(self._directory, remarks.verdict(evidence.of_run(self._directory)))

    @property
    def spec(self) -> Spec:
        """The spec that it was made from; dlx.run(run.spec, lr=0.01) changes one thing."""
        from dlx.training.experiment import spec_of

        return spec_of(self._directory)

    def model(self) -> keras.Model:
        """The trained Keras model: raw inputs (n, *shape) to probabilities, or to values.

        It is built from the spec and takes the weights alone from the file: no code in it runs.
        """
        return self._predictor.network.model

    def predict(self, inputs: Inputs) -> np.ndarray:
        """Probabilities (n, classes), or values (n, targets) in the data's unit.

        inputs: an array (n, *shape) as the dataset stores it; a table, as a DataFrame or a mapping of names to columns;
        a list of texts, where it was trained on texts; or one or several paths, of images, folders of images, .csv or
        .npz files. Warns of what is questionable, as a column that is not there. Raises DataError for what does not
        fit, and for a file that cannot be read.
        """
        import warnings

        known = len(self._predictor.remarks)
        paths = _paths(inputs, texts=self._predictor.inputs.kind == "text")
        try:
            return self._predictor.predict(inputs) if paths is None else self._predictor.predict_files(paths)
        finally:
            for remark in self._predictor.remarks[known:]:
                warnings.warn(remark, stacklevel=2)

    @property
    def remarks(self) -> list[str]:
        """What was questionable in the inputs of `predict` so far."""
        return self._predictor.remarks

    def plot(self, kind: Kind = "curves") -> Figure:
        """One of the run's pictures, as a figure of Matplotlib; raises RunError for one that its data has not."""
        return plot(self, kind)

    def __reduce__(self) -> tuple[type[Run], tuple[Path]]:
        return Run, (self.path,)

    def __repr__(self) -> str:
        return f"<dlx.Run {self.name}: {page.summary(self.status, self.metrics, self._directory.info())}>"

    def _repr_html_(self) -> str:
        return page.of_run(self.name, self.status, self.metrics, self._directory.info(), self._directory.history())

    @functools.cached_property
    def _predictor(self) -> Predictor:
        from dlx.inference.predictor import load_predictor

        return load_predictor(self._directory)

    @functools.cached_property
    def _subject(self) -> Subject:
        from dlx.training.subject import subject_of

        return subject_of(self._directory, self.name)[0]


def load(word: Place, runs_dir: Place | None = None) -> Run:
    """The run that a command would mean by the word: a directory, a run's or a spec's name, or latest."""
    return Run(find.one(os.fspath(word), find.root(runs_dir)).path)


def predict(word: Place, inputs: Inputs) -> np.ndarray:
    """`load(word).predict(inputs)`."""
    return load(word).predict(inputs)


def plot(runs: Run | Place | Iterable[Run | Place], kind: Kind = "curves", runs_dir: Place | None = None) -> Figure:
    """A picture of a run, or of several side by side (curves, settings, boundary), as a figure of Matplotlib.

    runs: Runs, or what `load` takes. Raises RunError for a picture that they do not have.
    """
    figure: Any = _drawn(runs, kind, runs_dir)
    figure._repr_png_ = functools.partial(page.of_figure, figure)  # what a notebook asks for
    return figure  # type: ignore[no-any-return]


def _drawn(runs: Run | Place | Iterable[Run | Place], kind: Kind, runs_dir: Place | None) -> Figure:
    from dlx.errors import RunError
    from dlx.plots.boundary import boundaries
    from dlx.plots.curves import draw_curves
    from dlx.plots.pictures import pictures_of
    from dlx.plots.settings import settings
    from dlx.runs.diff import labels_of
    from dlx.training.subject import curves_of

    several = [runs] if isinstance(runs, (Run, str, os.PathLike)) else list(runs)
    chosen = [run if isinstance(run, Run) else load(run, runs_dir) for run in several]
    found = [run._directory for run in chosen]
    labels = labels_of(found) if len(found) > 1 else [run.name for run in found]
    if kind == "curves":
        return draw_curves(*curves_of(found))
    if kind == "settings":
        if (drawn := settings(found)) is None:
            raise RunError("a picture of settings needs runs that end with figures and differ in a setting")
        return drawn()
    if kind == "boundary" and len(chosen) > 1:
        return boundaries([run._subject for run in chosen], labels)
    if len(chosen) > 1:
        raise RunError(
            f"{kind} is a picture of one run, {len(chosen)} were given",
            hint="curves, settings and boundary take several",
        )
    pictures = pictures_of(chosen[0]._subject)
    if kind not in pictures:
        raise RunError(
            f"has no picture of {kind}: its data does not fit one", where=found[0].name,
            hint=f"it has curves, {', '.join(pictures)}",
        )  # fmt: skip
    return pictures[kind](chosen[0]._subject)


def _frame(rows: Sequence[Mapping[str, object]], index: str) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(list(rows))
    return frame.set_index(index) if index in frame else frame


def _paths(inputs: Any, texts: bool) -> list[str] | None:
    """The paths that inputs are; None where they are arrays, tables or texts."""
    if isinstance(inputs, os.PathLike) or (isinstance(inputs, str) and not texts):
        return [os.fspath(inputs)]
    if not isinstance(inputs, (list, tuple)) or not inputs or texts:
        return None
    return [os.fspath(one) for one in inputs] if all(isinstance(one, (str, os.PathLike)) for one in inputs) else None
