"""Network: what the engine trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dlx.data.scaling import Scaling
from dlx.parts.registry import Part
from dlx.system.backend import keras


@dataclass(frozen=True, eq=False)
class Network:
    """What the engine trains.

    model: raw inputs to predictions (probabilities, or values); logits: the same up to the last activation.
    loss: `(targets, logits, activation) -> losses`; metrics: makes fresh Keras metrics.
    activation: logits to predictions; of a network that learns scaled targets, to scaled ones.
    head: its last layer and activation, and its loss, in words.
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


class LayerRow(NamedTuple):
    """A layer as tables and pictures show it: the shape of one example's output, and the layers that it follows."""

    name: str
    kind: str
    shape: str
    parameters: int
    before: Sequence[str]


def layer_table(network: Network) -> list[LayerRow]:
    """The layers, for the model table and the picture of the chain."""
    rows: list[LayerRow] = []
    passed: dict[str, str] = {}
    for layer in network.model.layers:
        shape = tuple(layer.output.shape[1:])
        kind = type(layer).__name__
        if kind == "Activation":
            kind += f" {layer.activation.__name__}"
        follows = [passed.get(name, name) for name in before(layer)]
        if kind == "Activation linear" and layer.name != "predictions":
            passed[layer.name] = follows[0]  # the linear pass that keeps logits in float32 says nothing to a reader
            continue
        rows.append(LayerRow(layer.name, kind, " × ".join(map(str, shape)), int(layer.count_params()), follows))
    return rows


def before(layer: Any) -> list[str]:
    """The names of the layers whose outputs a layer takes."""
    parents = (parent for node in layer._inbound_nodes for parent in node.parent_nodes)
    return list(dict.fromkeys(parent.operation.name for parent in parents if parent.operation is not None))


def parameter_count(network: Network) -> int:
    """How many numbers the training changes."""
    return sum(math.prod(variable.shape) for variable in network.model.trainable_variables)
