"""Figures that are exact where all predictions of a split are there: float64, and no thresholds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Exact = Callable[["np.ndarray", "np.ndarray"], float]


def mae(targets: np.ndarray, predictions: np.ndarray) -> float:
    """The mean absolute error of (n, k) float64 values."""
    import numpy as np

    return float(np.abs(targets - predictions).mean())


def mse(targets: np.ndarray, predictions: np.ndarray) -> float:
    """The mean squared error of (n, k) float64 values."""
    import numpy as np

    return float(np.square(targets - predictions).mean())


def rmse(targets: np.ndarray, predictions: np.ndarray) -> float:
    """The root of the mean squared error of (n, k) float64 values."""
    return float(mse(targets, predictions) ** 0.5)


def r2(targets: np.ndarray, predictions: np.ndarray) -> float:
    """The share of the variance of (n, k) float64 values that is explained, the mean over k.

    A column that never varies counts as 1 where it is met exactly, else as 0.
    """
    import numpy as np

    error = np.square(targets - predictions).sum(axis=0)
    spread = np.square(targets - targets.mean(axis=0)).sum(axis=0)
    varies = targets.min(axis=0) < targets.max(axis=0)
    return float(np.where(varies, 1 - error / np.where(varies, spread, 1.0), error == 0).mean())


def auc(targets: np.ndarray, predictions: np.ndarray) -> float:
    """The area under the ROC curve, by ranks (Mann and Whitney 1947); equal probabilities share theirs.

    targets: (n,) class numbers, or (n, k) labels; predictions: (n, units) probabilities. Of two classes that of the
    second, else the mean over the classes or labels that the split has examples with and without of; NaN without one.
    """
    import numpy as np

    if targets.shape == predictions.shape and predictions.ndim > 1:
        actual = targets > 0.5
    else:
        units = predictions.shape[-1]
        targets, predictions = targets.reshape(-1), predictions.reshape(-1, units)
        actual = targets[:, None] == (np.arange(units) if units > 1 else np.array([1]))
        if units == 2:
            actual, predictions = actual[:, 1:], predictions[:, 1:]
    areas = [_area(actual[:, n], predictions[:, n]) for n in range(actual.shape[1])]
    known = [area for area in areas if area is not None]
    return sum(known) / len(known) if known else float("nan")


def _area(actual: np.ndarray, probability: np.ndarray) -> float | None:
    """The area of one column; None where all examples are alike."""
    import numpy as np

    positive = int(actual.sum())
    negative = len(actual) - positive
    if not positive or not negative:
        return None
    _, place, counts = np.unique(probability, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[place][actual].sum() - positive * (positive + 1) / 2) / (positive * negative))


def of_two_classes(targets: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """auc, precision and recall of the second of two classes, as everybody asks of a table.

    targets: (n,) 0 or 1; predictions: (n, 1) probabilities of the second class, or (n, 2). Without an example that was
    predicted as it, or that is of it, a share is 0.
    """
    actual = targets.reshape(-1) > 0.5
    predicted = predictions[:, 0] > 0.5 if predictions.shape[1] == 1 else predictions[:, 1] > predictions[:, 0]
    correct = int((actual & predicted).sum())
    return {
        "auc": auc(targets, predictions),
        "precision": correct / max(int(predicted.sum()), 1),
        "recall": correct / max(int(actual.sum()), 1),
    }


EXACT: dict[str, Exact] = {"mae": mae, "mse": mse, "rmse": rmse, "r2": r2, "auc": auc}
