"""Network: what the engine trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dlx.parts.registry import Part


@dataclass(frozen=True, eq=False)
class Network:
    """What the engine trains.

    model: raw inputs to predictions (probabilities, or values); logits: the same up to the last activation.
    loss: `(targets, logits, activation) -> losses`; metrics: makes fresh Keras metrics.
    activation: logits to predictions; scaler: the layer that puts scaled targets back, if there is one.
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
    scaler: Any = None
    applied: Sequence[tuple[Part, Any]] = ()


def layer_table(network: Network) -> list[tuple[str, str, str, int]]:
    """(layer, kind, output shape, parameters) of each layer, for the model table."""
    rows = []
    for layer in network.model.layers:
        shape = tuple(layer.output.shape[1:])
        rows.append((layer.name, type(layer).__name__, " × ".join(map(str, shape)), int(layer.count_params())))
    # The linear pass that keeps logits in float32 says nothing to a reader.
    return [
        row
        for row in rows
        if not (row[1] == "Activation" and row[0] != "predictions" and row[3] == 0 and _pass(network, row[0]))
    ]


def _pass(network: Network, name: str) -> bool:
    return getattr(network.model.get_layer(name).activation, "__name__", "") == "linear"


def parameter_count(network: Network) -> int:
    """How many numbers the training changes."""
    return sum(math.prod(variable.shape) for variable in network.model.trainable_variables)
