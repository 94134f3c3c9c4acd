"""Batched forward passes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from dlx.data.dataset import filled
from dlx.parts import losses
from dlx.system.backend import keras

if TYPE_CHECKING:
    import numpy as np

BATCH = 256


def forward(model: Any, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """What `model` makes of each batch of raw inputs (n, *shape): (n, units) float32 each."""
    # On TensorFlow, XLA's convolutions are slower on a CPU, and are compiled anew for each batch size.
    on_jax = keras.config.backend() == "jax"
    model.jit_compile, most = on_jax, 0
    for batch in batches:
        count, most = len(batch), max(most, len(batch))
        yield model.predict_on_batch(filled(batch, most) if on_jax else batch)[:count]


def batches(inputs: np.ndarray, size: int = BATCH) -> Iterator[np.ndarray]:
    """`inputs` in pieces of `size`, in order; copies them out of a mapped file a piece at a time."""
    import numpy as np

    for start in range(0, len(inputs), size):
        yield np.asarray(inputs[start : start + size])


def evaluate(network: Any, split: Any, size: int = BATCH) -> tuple[dict[str, float], np.ndarray]:
    """(figures, predictions) of a split under the model's present weights.

    The figures are the loss with its penalties and each metric; predictions: (n, units) probabilities or values.
    """
    import numpy as np

    penalty = 0.0
    if _penalizes_activity(network.logits):  # depends on the batch, and is not kept by a compiled prediction
        pieces = []
        for batch in batches(split.inputs, size):
            pieces.append(keras.ops.convert_to_numpy(network.logits(batch, training=False)))
            penalty += float(sum(network.logits.losses)) * len(batch) / len(split.targets)
        logits = np.concatenate(pieces)
    else:
        logits = np.concatenate(list(forward(network.logits, batches(split.inputs, size))))
        penalty = float(sum(network.logits.losses))
    predictions = network.activation(keras.ops.convert_to_tensor(logits))
    targets = keras.ops.convert_to_tensor(split.targets)
    each = network.loss(targets, keras.ops.convert_to_tensor(logits), network.activation)
    figures = {"loss": float(keras.ops.mean(each)) + penalty}
    for metric in network.metrics():
        losses.update(metric, targets, predictions)
        figures[metric.name] = float(metric.result())
    return figures, keras.ops.convert_to_numpy(predictions)


def _penalizes_activity(model: Any) -> bool:
    """Whether a layer, or one inside a wrapper, has an activity regularizer."""
    inner = [
        (layer, getattr(layer, "forward_layer", None), getattr(layer, "backward_layer", None)) for layer in model.layers
    ]
    return any(getattr(layer, "activity_regularizer", None) is not None for group in inner for layer in group)


def both(predictions: np.ndarray, task: str) -> np.ndarray:
    """(n, classes) probabilities where one sigmoid unit says how probable the second class is; others as they are."""
    import numpy as np

    one_unit = task == "classification" and predictions.shape[-1] == 1
    return np.concatenate([1 - predictions, predictions], axis=-1) if one_unit else predictions


def answers(predictions: np.ndarray, task: str) -> np.ndarray:
    """What the probabilities or values say: class numbers (n,), labels (n, k) of 0 and 1, or values as they are."""
    import numpy as np

    if task == "multi_label":
        return (predictions > 0.5).astype(np.int8)
    return classes_of(predictions) if task == "classification" else predictions


def classes_of(predictions: np.ndarray) -> np.ndarray:
    """The most probable class number of each row: (n,) or (n, steps) int64; one unit says how probable class 1 is."""
    import numpy as np

    if predictions.shape[-1] == 1:
        return (predictions[..., 0] > 0.5).astype(np.int64)
    return np.asarray(predictions.argmax(axis=-1))
