"""The figures of a split, a second time: NumPy, SciPy and scikit-learn alone, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, log_softmax, softmax
from sklearn import metrics as sk

Array = np.ndarray


def metric(name: str, task: str, targets: Array, predictions: Array) -> float:
    """A metric of targets, (n,) classes, or (n, k) labels or values, and (n, units) probabilities or values."""
    if task == "regression":
        return _of_values(name, targets, predictions)
    if task == "multi_label":
        return _of_labels(name, targets.astype(int), predictions)
    return _of_classes(name, targets, predictions)


def _of_values(name: str, targets: Array, predictions: Array) -> float:
    if name == "mae":
        return float(sk.mean_absolute_error(targets, predictions))
    if name in ("mse", "rmse"):
        return float(sk.mean_squared_error(targets, predictions)) ** (0.5 if name == "rmse" else 1.0)
    shares = []
    for column in range(targets.shape[1]):
        actual, predicted = targets[:, column], predictions[:, column]
        if actual.min() == actual.max():
            shares.append(float((actual == predicted).all()))
        else:  # in units of its own, as squares of 1e-200 are 0
            unit = float(np.ptp(actual))
            shares.append(float(sk.r2_score((actual - actual[0]) / unit, (predicted - actual[0]) / unit)))
    return float(np.mean(shares))


def _of_classes(name: str, targets: Array, shares: Array) -> float:
    if shares.shape[1] == 1:
        shares = np.concatenate([1 - shares, shares], axis=1)
    classes = range(shares.shape[1])
    chosen = shares.argmax(axis=1) if len(classes) > 2 else (shares[:, 1] > shares[:, 0]).astype(int)
    if name == "accuracy":
        return float(sk.accuracy_score(targets, chosen))
    if name.startswith("top_"):
        k, right = int(name.split("_")[1]), shares[np.arange(len(targets)), targets]
        return float(((shares > right[:, None]).sum(axis=1) < k).mean())
    if name == "auc":
        columns = [1] if len(classes) == 2 else list(classes)
        return _area([(targets == column, shares[:, column]) for column in columns])
    function = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}[name]
    how: dict[str, Any] = {"average": "binary"} if len(classes) == 2 else {"average": "macro", "labels": list(classes)}
    return float(function(targets, chosen, zero_division=0, **how))


def _of_labels(name: str, targets: Array, shares: Array) -> float:
    chosen = (shares > 0.5).astype(int)
    if name == "accuracy":
        return float((chosen == targets).mean())
    if name == "exact_match":
        return float((chosen == targets).all(axis=1).mean())
    columns = range(targets.shape[1])
    if name == "auc":
        return _area([(targets[:, column] == 1, shares[:, column]) for column in columns])
    function = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}[name]
    return float(np.mean([function(targets[:, c], chosen[:, c], zero_division=0) for c in columns]))


def _area(columns: list[tuple[Array, Array]]) -> float:
    areas = [sk.roc_auc_score(actual, shares) for actual, shares in columns if 0 < actual.sum() < len(actual)]
    return float(np.mean(areas)) if areas else float("nan")


def answers(logits: Array, task: str) -> Array:
    """Logits to probabilities; values as they are."""
    if task == "regression":
        return logits
    return expit(logits) if task == "multi_label" or logits.shape[1] == 1 else softmax(logits, axis=1)


def loss(name: str, arguments: dict[str, float], task: str, targets: Array, logits: Array) -> Array:
    """The loss of each example, (n,); of a regression, targets and logits are scaled."""
    if task == "regression":
        apart = logits - targets
        each = {
            "mean_squared_error": lambda: apart**2,
            "mean_absolute_error": lambda: np.abs(apart),
            "huber": lambda: _huber(np.abs(apart), arguments.get("delta", 1.0)),
            "log_cosh": lambda: np.logaddexp(apart, -apart) - np.log(2),
        }[name]()
        return np.asarray(each.mean(axis=1))
    smoothing = arguments.get("label_smoothing", 0.0)
    if logits.shape[1] > 1 and task == "classification":
        wanted = np.eye(logits.shape[1])[targets]
        wanted = wanted * (1 - smoothing) + smoothing / logits.shape[1]
        logs = log_softmax(logits, axis=1)
        if name == "categorical_focal_crossentropy":
            gamma, alpha = arguments.get("gamma", 2.0), arguments.get("alpha", 0.25)
            return np.asarray(-(alpha * (1 - np.exp(logs)) ** gamma * wanted * logs).sum(axis=1))
        return np.asarray(-(wanted * logs).sum(axis=1))
    wanted = targets.reshape(len(logits), -1) * (1 - smoothing) + smoothing / 2
    each = np.logaddexp(0, logits) - wanted * logits
    if name == "binary_focal_crossentropy":
        share = expit(logits)
        each = each * (1 - (wanted * share + (1 - wanted) * (1 - share))) ** arguments.get("gamma", 2.0)
    return np.asarray(each.mean(axis=1))


def _huber(apart: Array, delta: float) -> Array:
    return np.asarray(np.where(apart <= delta, apart**2 / 2, delta * apart - delta**2 / 2))


def rate(schedule: str, arguments: dict[str, Any], progress: float) -> float:
    """The factor of the learning rate at a progress from 0 to 1, by the formulas of Keras and of the papers."""
    warmup, final = arguments.get("warmup", 0.0), arguments.get("final", 0.0)
    if warmup and progress < warmup:
        return progress / warmup
    inside = (progress - warmup) / (1 - warmup)
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return float((1 - final) * (1 + np.cos(np.pi * inside)) / 2 + final)
    if schedule == "cosine_restarts":
        cycles, shrink = arguments.get("cycles", 4), arguments.get("shrink", 1.0)
        number = min(int(progress * cycles), cycles - 1)
        return float((1 - final) * shrink**number * (1 + np.cos(np.pi * (progress * cycles - number))) / 2 + final)
    if schedule == "exponential":
        return float(arguments.get("final", 0.01) ** inside)
    if schedule == "polynomial":
        return float((1 - final) * (1 - inside) ** arguments.get("power", 1.0) + final)
    if schedule == "inverse_time":
        return float(1 / (1 + arguments.get("decay", 9.0) * progress))
    if schedule == "step":
        return float(arguments.get("factor", 0.1) ** sum(progress >= point for point in arguments["at"]))
    raise ValueError(schedule)


def class_weights(targets: Array, classes: int) -> Array:
    """What `balanced` gives an example of each class: n / (classes · count)."""
    counts = np.bincount(targets, minlength=classes)
    return np.asarray(len(targets) / (classes * np.maximum(counts, 1)))


def cut(rows: Array, share: float, number: int, labels: Array | None) -> tuple[Array, Array]:
    """(the rest, the share) of row numbers: by a permutation that `number` seeds, each class in its share of it."""
    order = np.random.default_rng([0, number]).permutation(len(rows))
    if labels is not None:
        place = np.empty(len(order))
        for label in set(labels.tolist()):
            of = [position for position, row in enumerate(order) if labels[row] == label]
            for rank, position in enumerate(of):
                place[position] = (rank + 0.5) / len(of)
        order = order[np.argsort(place, kind="stable")]
    picked = np.sort(order[: round(len(rows) * share)])
    return np.delete(rows, picked), rows[picked]
