"""The figures of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlx.inference.forward import BATCH, forward, in_batches
from dlx.parts import metrics
from dlx.system.backend import keras

if TYPE_CHECKING:
    import numpy as np


def evaluate(network: Any, split: Any, size: int = BATCH) -> tuple[dict[str, float], np.ndarray]:
    """(figures, predictions) of a split under the model's present weights.

    The figures are the loss with its penalties and each metric; predictions: (n, units) probabilities or values.
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
    predictions = network.activation(keras.ops.convert_to_tensor(logits))
    targets = keras.ops.convert_to_tensor(split.targets)
    each = network.loss(targets, keras.ops.convert_to_tensor(logits), network.activation)
    figures = {"loss": float(keras.ops.mean(each)) + penalty}
    for metric in network.metrics():
        metrics.update(metric, targets, predictions)
        figures[metric.name] = float(metric.result())
    return figures, keras.ops.convert_to_numpy(predictions)


def _penalizes_activity(model: Any) -> bool:
    """Whether a layer, or one inside a wrapper, has an activity regularizer."""
    inner = [
        (layer, getattr(layer, "forward_layer", None), getattr(layer, "backward_layer", None)) for layer in model.layers
    ]
    return any(getattr(layer, "activity_regularizer", None) is not None for group in inner for layer in group)
