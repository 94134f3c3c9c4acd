"""The figures of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlx.inference.exact import EXACT
from dlx.inference.forward import BATCH, forward, in_batches
from dlx.parts import metrics
from dlx.system.backend import keras

if TYPE_CHECKING:
    import numpy as np


def evaluate(network: Any, split: Any, size: int = BATCH) -> tuple[dict[str, float], np.ndarray]:
    """(figures, predictions) of a split under the model's present weights.

    The figures are the loss with its penalties, where there are any also without, and each metric; predictions:
    (n, units) probabilities, or values in float64.
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
    targets = keras.ops.convert_to_tensor(network.learned(split.targets))
    each = network.loss(targets, keras.ops.convert_to_tensor(logits), network.activation)
    loss = float(keras.ops.convert_to_numpy(each).mean(dtype=np.float64))
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
    return figures, predictions


def _float32(values: np.ndarray) -> np.ndarray:
    return values.astype("float32") if values.dtype == "float64" else values


def _penalizes_activity(model: Any) -> bool:
    """Whether a layer, or one inside a wrapper, has an activity regularizer."""
    inner = [
        (layer, getattr(layer, "forward_layer", None), getattr(layer, "backward_layer", None)) for layer in model.layers
    ]
    return any(getattr(layer, "activity_regularizer", None) is not None for group in inner for layer in group)
