"""The figures of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlx.inference.exact import EXACT, of_two_classes
from dlx.inference.forward import BATCH, forward, in_batches
from dlx.parts import metrics
from dlx.system.backend import keras

if TYPE_CHECKING:
    import numpy as np


def evaluate(
    network: Any, dataset: Any, split: Any, size: int = BATCH
) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """(figures, predictions, losses) of a split of a dataset under the model's present weights.

    The figures are the loss with its penalties, where there are any also without, and each metric, of a table's two
    classes also what everybody asks of them; predictions: (n, units) probabilities, or values in float64; losses: (n,)
    those of the examples, of a sequence the mean of its steps, without penalties.
    """
    import numpy as np

    penalty = 0.0
    if _penalizes_activity(network.logits):  # depends on the batch, and is not kept by a compiled prediction
        pieces = []
        for batch in in_batches(split.inputs, size):
            pieces.append(keras.ops.convert_to_numpy(network.logits(batch, training=False)))
            penalty += float(sum(network.logits.losses)) * len(batch) / len(split.targets)
        logits = np.concatenate(pieces)
    else:
        logits = np.concatenate(list(forward(network.logits, in_batches(split.inputs, size))))
        penalty = float(sum(network.logits.losses))
    predictions = network.answers(logits)
    each = _losses(network, split, logits)
    loss = float(each.mean(dtype=np.float64))
    figures = {"loss": loss + penalty, **({"data_loss": loss} if network.logits.losses else {})}
    if split.targets.dtype == np.float64:  # values
        predictions = np.asarray(predictions, np.float64)
    for metric in network.metrics():
        if metric.name in EXACT:
            figures[metric.name] = EXACT[metric.name](split.targets, predictions)
            continue
        pair = (_float32(split.targets), _float32(predictions))  # as in the training, also for metrics of user code
        metrics.update(metric, *map(keras.ops.convert_to_tensor, pair))
        figures[metric.name] = float(metric.result())
    if dataset.kind == "table" and len(dataset.classes) == 2 and network.classes:
        figures = {**of_two_classes(split.targets, predictions), **figures}
    return figures, predictions, each.astype(np.float64).reshape(len(split.targets), -1).mean(axis=1)


def batch_of(batch_size: Any, train: int) -> int:
    """How many examples at a time a run's splits are evaluated: from 128 to 4,096, near its batch; train: its rows."""
    return min(max(train if batch_size == "full" else min(int(batch_size), train), 128), 4096)


def data_loss(network: Any, split: Any, logits: np.ndarray) -> float:
    """The mean loss of a split's examples for given logits, (n, units), without penalties."""
    import numpy as np

    return float(_losses(network, split, logits).mean(dtype=np.float64))


def _losses(network: Any, split: Any, logits: np.ndarray) -> np.ndarray:
    targets = keras.ops.convert_to_tensor(network.learned(split.targets))
    each = network.loss(targets, keras.ops.convert_to_tensor(logits), network.activation)
    found: np.ndarray = keras.ops.convert_to_numpy(each)
    return found


def _float32(values: np.ndarray) -> np.ndarray:
    return values.astype("float32") if values.dtype == "float64" else values


def _penalizes_activity(model: Any) -> bool:
    """Whether a layer, or one inside a wrapper, has an activity regularizer."""
    inner = [
        (layer, getattr(layer, "forward_layer", None), getattr(layer, "backward_layer", None)) for layer in model.layers
    ]
    return any(getattr(layer, "activity_regularizer", None) is not None for group in inner for layer in group)


# What a split's predictions say beside its figures: all of NumPy, from kept predictions as well as from fresh ones.


def per_class(labels: np.ndarray, probabilities: np.ndarray, classes: int) -> list[dict[str, float]]:
    """Of each class: n, precision, recall, f1, and confidence, the mean probability of what is predicted as it.

    labels: (n,) class numbers; probabilities: (n, classes). Without an example that was predicted as a class, or that
    is of it, a share is 0.
    """
    import numpy as np

    predicted, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    table = []
    for number in range(classes):
        of, taken = labels == number, predicted == number
        right = int((of & taken).sum())
        precision, recall = right / max(int(taken.sum()), 1), right / max(int(of.sum()), 1)
        f1 = 2 * precision * recall / (precision + recall) if right else 0.0
        confidence = float(np.mean(sure[taken])) if taken.any() else 0.0
        table.append({"n": int(of.sum()), "precision": precision, "recall": recall, "f1": f1, "confidence": confidence})
    return table


def confusion_counts(labels: np.ndarray, probabilities: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes) how many examples of each class, a row, were taken for each."""
    import numpy as np

    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, probabilities.argmax(axis=1)), 1)
    return counts


def calibration(labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> tuple[list[dict[str, float]], float]:
    """(of each filled bin of confidence: low, high, n, sure, right; the expected calibration error).

    The confidence is that of the most probable class; the error the mean of |sure - right| over examples (Guo et al.
    2017).
    """
    import numpy as np

    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = np.minimum((sure * bins).astype(int), bins - 1)
    table, error = [], 0.0
    for number in range(bins):
        inside = place == number
        count = int(inside.sum())
        if not count:
            continue
        mean, share = float(sure[inside].mean()), float(right[inside].mean())
        error += count / len(labels) * abs(mean - share)
        table.append({"low": number / bins, "high": (number + 1) / bins, "n": count, "sure": mean, "right": share})
    return table, error


def surest_mistakes(labels: np.ndarray, probabilities: np.ndarray, most: int) -> np.ndarray:
    """The positions of the wrong answers of which the network was most sure."""
    import numpy as np

    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    order = np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")
    return np.asarray(wrong[order][:most])
