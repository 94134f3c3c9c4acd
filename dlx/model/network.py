"""Network: what the engine trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dlx.data.scaling import Scaling
from dlx.parts.registry import Part
from dlx.system.backend import keras


@dataclass(frozen=True, eq=False)
class Network:
    """What the engine trains.

    model: raw inputs to predictions (probabilities, or values); logits: the same up to the last activation.
    loss: `(targets, logits, activation) -> losses`; metrics: makes fresh Keras metrics.
    activation: logits to predictions; of a network that learns scaled targets, to scaled ones.
    remarks: what is unwise in its head. head: its last layer and activation, and its loss, in words.
    scales: whether it learns scaled targets; target_scaling: mean and deviation of a regression's targets, where known.
    """

    model: Any
    logits: Any
    activation: Any
    loss: Callable[[Any, Any, Any], Any]
    metrics: Callable[[], list[Any]]
    preprocess: Sequence[Any]
    augment: Sequence[Callable[[Any, Any], Any]]
    units: int
    classes: bool
    scales: bool = False
    target_scaling: Scaling | None = None
    applied: Sequence[tuple[Part, Any]] = ()
    remarks: Sequence[str] = ()
    head: tuple[str, str] = ("", "")

    def learned(self, targets: Any) -> Any:
        """Targets as the loss takes them: class numbers and labels as they are, values float32, scaled if it scales."""
        import numpy as np

        if self.scales and self.target_scaling is not None:
            return self.target_scaling.apply(targets)
        return np.asarray(targets, np.float32) if targets.dtype.kind == "f" else targets

    def answers(self, logits: Any) -> Any:
        """Logits, an array of NumPy, to probabilities, or to values in the data's unit."""
        if self.scales and self.target_scaling is not None:
            return self.target_scaling.undo(logits)
        return keras.ops.convert_to_numpy(self.activation(keras.ops.convert_to_tensor(logits)))


def layer_table(network: Network) -> list[tuple[str, str, str, int]]:
    """(layer, kind, output shape, parameters) of each layer, for the model table."""
    rows = []
    for layer in network.model.layers:
        shape = tuple(layer.output.shape[1:])
        kind = type(layer).__name__
        if kind == "Activation":
            kind += f" {layer.activation.__name__}"
        rows.append((layer.name, kind, " × ".join(map(str, shape)), int(layer.count_params())))
    # The linear pass that keeps logits in float32 says nothing to a reader.
    return [row for row in rows if not (row[1] == "Activation linear" and row[0] != "predictions")]


def parameter_count(network: Network) -> int:
    """How many numbers the training changes."""
    return sum(math.prod(variable.shape) for variable in network.model.trainable_variables)
