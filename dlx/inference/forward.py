"""Batched forward passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from dlx.data.dataset import padded
from dlx.system.backend import keras

BATCH = 256


def forward(model: Any, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """What `model` makes of each batch of raw inputs (n, *shape): (n, units) float32 each."""
    if keras.config.backend() != "jax":
        # XLA's convolutions are slower on a CPU, and are compiled again for each batch size.
        model.jit_compile = False
        yield from map(model.predict_on_batch, batches)
        return
    compute, weights, most = _compiled(model), [variable.value for variable in model.variables], 0
    for batch in batches:
        count, most = len(batch), max(most, len(batch))
        yield np.asarray(compute(weights, padded(batch, most)), np.float32)[:count]


def share(model: Any, like: Any) -> None:
    """Let a model use what is compiled for another of the same structure: the weights are arguments there."""
    if keras.config.backend() == "jax" and model is not like:
        object.__setattr__(model, COMPILED, _compiled(like))


COMPILED = "_dlx_forward"


def _compiled(model: Any) -> Callable[[list[Any], Any], Any]:
    """The forward pass on JAX, of the values of all variables and a batch; compiled once a structure."""
    if not hasattr(model, COMPILED):
        from dlx.engine.jax import compile_forward

        object.__setattr__(model, COMPILED, compile_forward(model))
    made: Callable[[list[Any], Any], Any] = getattr(model, COMPILED)
    return made


def answers(network: Any, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Probabilities (n, units), or values in the data's unit, of each batch of inputs as the network takes them."""
    return map(network.answers, forward(network.logits, batches))


def in_batches(inputs: np.ndarray, size: int = BATCH) -> Iterator[np.ndarray]:
    """`inputs` in pieces of `size`, in order; copies them out of a mapped file a piece at a time."""
    import numpy as np

    for start in range(0, len(inputs), size):
        yield np.asarray(inputs[start : start + size])


def class_probabilities(predictions: np.ndarray, task: str) -> np.ndarray:
    """(n, classes) probabilities, also where one unit says how probable the second class is; values as they are.

    Outputs of a head whose activation gives no probabilities come into 0..1: cut where each unit is a question of its
    own, else moved up and divided, so that their order stays.
    """
    import numpy as np

    if task == "classification" and predictions.shape[-1] > 1:
        moved = predictions - np.minimum(predictions.min(axis=-1, keepdims=True), 0)
        predictions = moved / np.maximum(moved.max(axis=-1, keepdims=True), 1)
    elif task != "regression":
        predictions = np.clip(predictions, 0.0, 1.0)
    one_unit = task == "classification" and predictions.shape[-1] == 1
    return np.concatenate([1 - predictions, predictions], axis=-1) if one_unit else predictions


def decisions(predictions: np.ndarray, task: str) -> np.ndarray:
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
