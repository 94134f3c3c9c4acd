"""Another network's weights, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlx.model.network import Network

if TYPE_CHECKING:
    import numpy as np


def weights_of(network: Network) -> dict[str, list[np.ndarray]]:
    """The arrays of every layer that has some, by the layer's name."""
    return {layer.name: layer.get_weights() for layer in network.model.layers if layer.weights}


def transfer_weights(network: Network, donated: Mapping[str, list[np.ndarray]]) -> tuple[list[str], list[str]]:
    """Put another network's arrays into the layers of the same name and shapes.

    Returns (the layers that got them, the layers that stay as they are, each with the reason).
    """
    matched, fresh = [], []
    for layer in network.model.layers:
        if not layer.weights or any(layer is made.layer for made in network.preprocess):
            continue  # what the train split decides is none of another run's
        own, given = [tuple(weight.shape) for weight in layer.weights], donated.get(layer.name)
        if given is None:
            fresh.append(f"{layer.name} (no layer of that name there)")
        elif [array.shape for array in given] != own:
            fresh.append(f"{layer.name} ({_largest(given)} there, {_largest(layer.weights)} here)")
        else:
            layer.set_weights(given)
            matched.append(layer.name)
    return matched, fresh


def _largest(arrays: Sequence[Any]) -> str:
    """The shape of the largest array, for a remark."""
    return " × ".join(map(str, max((tuple(array.shape) for array in arrays), key=math.prod, default=())))
