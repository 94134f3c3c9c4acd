"""The predictions that a run keeps of its test split, or of its validation where it has no test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlx.data.npz import read_arrays
from dlx.errors import DataError, RunError
from dlx.inference.forward import decisions
from dlx.runs.run import Run

if TYPE_CHECKING:
    import numpy as np

    from dlx.data.dataset import Dataset, Split

MOST = 4 * 2**30  # bytes of a predictions.npz


@dataclass(frozen=True, eq=False)
class Kept:
    """index: (n,) row numbers in the data; label: what is true; prediction: probabilities, or values in their unit."""

    split: str
    task: str
    classes: tuple[str, ...]
    index: np.ndarray
    label: np.ndarray
    prediction: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    def right(self) -> np.ndarray:
        """(n,) whether each example is answered rightly: of a sequence or of several labels, in every one."""
        import numpy as np

        wrong = np.asarray(decisions(self.prediction, self.task) != self.label)
        return np.asarray(~wrong.reshape(len(self), -1).any(axis=1))

    def errors(self) -> np.ndarray:
        """(n,) the absolute error of values, the mean over targets."""
        import numpy as np

        off = np.abs(np.asarray(self.prediction, np.float64) - np.asarray(self.label, np.float64))
        return np.asarray(off.reshape(len(self), -1).mean(axis=1))


def predictions(run: Run) -> Kept:
    """What a run keeps. Raises RunError where it has no predictions, DataError where they are damaged."""
    import numpy as np

    info = run.info()
    if not run.predictions_file.is_file():
        raise RunError("it keeps no predictions: it has no test and no validation, or is not done", where=run.name)
    arrays = read_arrays(run.predictions_file, MOST)
    if not isinstance(arrays, dict) or not {"index", "label", "prediction"} <= set(arrays):
        raise RunError("predictions.npz holds no index, label and prediction", where=run.name)
    index, label, prediction = (arrays[key] for key in ("index", "label", "prediction"))
    if not len(index) == len(label) == len(prediction) or index.ndim != 1 or not len(index):
        raise RunError("predictions.npz holds arrays of unlike lengths", where=run.name)
    classes = tuple(str(name) for name in info.get("classes") or ())
    if info.get("task") == "classification":
        known = label.dtype.kind in "iu" and 0 <= label.min() <= label.max() < len(classes)
        if not known or prediction.shape[-1] != len(classes):
            raise RunError("predictions.npz is not of the classes in run.json", where=run.name)
    if not np.isfinite(prediction).all():
        raise RunError("predictions.npz holds predictions that are not finite", where=run.name)
    split = "test" if isinstance((info.get("dataset") or {}).get("test"), int) else "validation"
    return Kept(split, str(info.get("task")), classes, index, label, np.asarray(prediction, np.float64))


def examples(run: Run, predicted: Kept) -> tuple[Dataset, Split]:
    """The data of a run, and the examples that it predicted. Raises DataError where its data is another now."""
    import numpy as np

    from dlx.training.experiment import prepare, spec_of  # what compares predictions needs no spec

    experiment = prepare(spec_of(run), recorded=run.info())
    split = experiment.splits.test if predicted.split == "test" else experiment.splits.validation
    if split is None or not np.array_equal(split.index, predicted.index):
        raise DataError("its data is not what it was trained on", where=run.name)
    return experiment.dataset, split


def same_rows(a: Kept, b: Kept) -> bool:
    """Whether two runs predicted the same examples, with the same truth."""
    import numpy as np

    return a.task == b.task and np.array_equal(a.index, b.index) and np.array_equal(a.label, b.label)
