"""A spec as an estimator of scikit-learn: for pipelines, cross-validation and grid searches."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from dlx.api.training import run

if TYPE_CHECKING:
    from dlx.api.result import Place
    from dlx.spec import Source

    Array = np.ndarray

ARGUMENTS = ("spec", "runs_dir", "verbose")
SMALL: Mapping[str, Any] = {
    "preprocess": ["normalize"], "layers": [{"dense": {"units": 32, "activation": "relu"}}, "output"], "lr": 0.01,
    "epochs": 100,
}  # fmt: skip


class _Estimator(BaseEstimator):  # type: ignore[misc]
    """What both have: parameters, which are settings of the spec too, and the training.

    A setting is a parameter by its address: GridSearchCV(estimator, {"lr": [0.1, 0.01], "layers.0.units": [8, 32]}).
    """

    def __init__(
        self, spec: Source | None = None, *, runs_dir: Place | None = None, verbose: int = 0, **settings: Any
    ) -> None:
        self.spec, self.runs_dir, self.verbose = spec, runs_dir, verbose
        for address, value in settings.items():  # as scikit-learn has it: a parameter is an attribute
            setattr(self, address, value)

    def _settings(self) -> dict[str, Any]:
        """The settings that change the spec, by their addresses."""
        fitted = [name for name in vars(self) if name.endswith("_") or name.startswith("_")]
        return {name: value for name, value in vars(self).items() if name not in (*ARGUMENTS, *fitted)}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor, the settings among them."""
        return {**{name: getattr(self, name) for name in ARGUMENTS}, **self._settings()}

    def set_params(self, **parameters: Any) -> Self:
        """Change arguments of the constructor, settings by their addresses among them."""
        for name, value in parameters.items():
            setattr(self, name, value)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "run_")

    def _train(self, inputs: Array, targets: Array, task: str) -> Self:
        """Train on arrays, which are kept beside the runs: run_ is the Run, n_iter_ its epochs."""
        folder = Path(self.runs_dir) if self.runs_dir is not None else _folder()
        data = {
            "dataset": {"npz": {"path": str(_kept(folder / "data", inputs, targets))}},
            "test": "none",
            "task": task,
        }
        spec = SMALL if self.spec is None else self.spec
        usual = {"validation": "none", "name": type(self).__name__.lower()}
        if isinstance(spec, Mapping):
            self.run_ = run({**usual, **spec, **data}, folder, self.verbose, **self._settings())
        else:
            self.run_ = run(spec, folder, self.verbose, **{**data, **self._settings()})
        self.n_iter_ = int(self.run_.metrics["epochs"])
        return self

    def _answers(self, inputs: Any) -> Array:
        check_is_fitted(self)
        return self.run_.predict(validate_data(self, inputs, reset=False, allow_nd=True, dtype="numeric"))


class Classifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A spec that predicts classes; it has no `dataset`, that is what `fit` is given.

    spec: a file, a mapping or a Spec; without one a small dense network. runs_dir: where its runs are kept, else in a
    temporary folder. settings: `lr=0.1`, or `**{"layers.0.units": 64}`.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train on X (n, *shape) of numbers, and y (n,), whose values are the classes."""
        X, y = validate_data(self, X, y, allow_nd=True, dtype="numeric")
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"every example is of one class, {self.classes_[0]!r}; expected two classes or more")
        return self._train(X, numbers.astype(np.int32), "classification")

    def predict_proba(self, X: Any) -> Array:
        """(n, classes) probabilities, in the order of `classes_`."""
        return self._answers(X)

    def predict(self, X: Any) -> Array:
        """(n,) classes, as they were in y."""
        chosen: Array = self._answers(X).argmax(axis=1)
        named: Array = self.classes_[chosen]
        return named


class Regressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A spec that predicts values; it has no `dataset`, that is what `fit` is given.

    The parameters are those of Classifier.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Train on X (n, *shape) of numbers, and y (n,) or (n, targets)."""
        X, y = validate_data(self, X, y, allow_nd=True, dtype="numeric", multi_output=True, y_numeric=True)
        self._flat = y.ndim == 1
        return self._train(X, np.asarray(y, np.float64), "regression")

    def predict(self, X: Any) -> Array:
        """(n,) or (n, targets) values, in the unit of y."""
        values = self._answers(X)
        return values[:, 0] if self._flat else values


@functools.cache
def _folder() -> Path:
    """Where runs go that nobody wants to keep; it ends with the process."""
    folder = tempfile.TemporaryDirectory(prefix="dlx-")
    _FOLDERS.append(folder)
    return Path(folder.name)


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []  # held, else they are removed at once


def _kept(folder: Path, inputs: Array, targets: Array) -> Path:
    """The arrays as a file that is named after what it holds."""
    from dlx.system import files

    stream = io.BytesIO()
    np.savez(stream, x=inputs, y=targets)
    raw = stream.getvalue()
    path = folder / f"{hashlib.sha256(raw).hexdigest()[:16]}.npz"
    if not path.exists():
        os.makedirs(folder, exist_ok=True)
        with files.replacing(path) as temporary:
            temporary.write_bytes(raw)
    return path
