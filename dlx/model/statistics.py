"""What a network learns from the train split before the training: means and variances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlx.model.network import Network
from dlx.system.backend import keras

if TYPE_CHECKING:
    import numpy as np


def fit_preprocessing(network: Network, inputs: np.ndarray) -> None:
    """Set each fitted layer's statistics from the train split alone; inputs: (n, *shape) as stored.

    Each layer is fitted on what the ones before it make of the inputs. In chunks: memory stays bounded.
    """
    import numpy as np

    before: list[Any] = []
    for made in network.preprocess:
        if made.reduce is not None:
            axes = made.reduce(inputs.ndim)
            count, total, square = 0.0, np.float64(0), np.float64(0)
            for start in range(0, len(inputs), 2048):
                chunk = np.asarray(inputs[start : start + 2048], np.float32)
                for layer in before:
                    chunk = keras.ops.convert_to_numpy(layer(chunk))
                count += chunk.size / np.prod([chunk.shape[a] for a in range(chunk.ndim) if a not in axes], initial=1.0)
                total = total + chunk.sum(axis=axes, dtype=np.float64)
                square = square + np.square(chunk, dtype=np.float64).sum(axis=axes)
            mean = total / count
            set_statistics(made.layer, mean, np.maximum(square / count - mean**2, 0.0))
        before.append(made.layer)


def fit_targets(network: Network, targets: np.ndarray) -> None:
    """Set the scale of a regression's targets, (n, k), from the train split alone."""
    import numpy as np

    if network.scaler is not None:
        values = np.asarray(targets, np.float64)
        set_statistics(network.scaler, values.mean(axis=0), values.var(axis=0))


def set_statistics(layer: Any, mean: Any, variance: Any) -> None:
    """Give a Normalization layer its mean and variance, as `adapt` would; a feature that never varies stays 0."""
    import numpy as np

    constant = np.asarray(variance) <= 1e-12 * np.square(mean)
    safe = np.where(constant, 1.0, variance)
    layer.adapt_mean.assign(np.reshape(mean, layer.adapt_mean.shape))
    layer.adapt_variance.assign(np.reshape(safe, layer.adapt_variance.shape))
    layer.finalize_state()
