"""What a network learns from the train split before the training: means and variances."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dlx.data.scaling import RANGE, Scaling, moments, unsure
from dlx.errors import DataError
from dlx.model.network import Network
from dlx.system.backend import keras

if TYPE_CHECKING:
    import numpy as np

ROWS = 2048


def fit_preprocessing(network: Network, inputs: np.ndarray, scaling: Scaling | None = None) -> None:
    """Set each fitted layer's statistics from the train split alone; inputs: (n, *shape) as stored.

    Each layer is fitted on what the ones before it make of the inputs. In chunks: memory stays bounded. With a
    `scaling` the inputs have what the first layer would give them already, and it changes nothing.
    Raises DataError where values behind another layer are too small or too large to be scaled there.
    """
    before: list[Any] = []
    for made in network.preprocess:
        if made.statistics is not None and scaling is not None and not before:
            _set(made.layer, 0.0, 1.0)
        elif made.statistics is not None:
            _fit(made.layer, _Through(inputs, before), made.statistics == "scalar")
        before.append(made.layer)


class _Through:
    """Inputs behind some layers, computed when they are sliced."""

    def __init__(self, inputs: Any, layers: list[Any]) -> None:
        self._inputs, self._layers = inputs, list(layers)
        self.shape = (len(inputs), *self[:1].shape[1:])

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, rows: slice) -> np.ndarray:
        import numpy as np

        values = np.asarray(self._inputs[rows], np.float32)
        for layer in self._layers:
            values = keras.ops.convert_to_numpy(layer(values))
        return values


def _fit(layer: Any, values: _Through, scalar: bool) -> None:
    """Give a Normalization layer the mean and the variance of values, as `adapt` would."""
    mean, variance = moments((values[start : start + ROWS] for start in range(0, len(values), ROWS)), scalar)
    if unsure(mean, variance):
        scaling = Scaling.fit(values, scalar)
        low, high = RANGE
        deviation = scaling.deviation
        if (deviation < low).any() or (deviation > high).any():
            worst = float(deviation.min() if (deviation < low).any() else deviation.max())
            raise DataError(
                f"the inputs of {layer.name} have a standard deviation of {worst:.3g}; it scales those from {low:g} to "
                f"{high:g}",
                hint="put normalize or standardize first: there it scales values of any size",
            )
        mean, variance = scaling.mean, deviation**2
    _set(layer, mean, variance)


def _set(layer: Any, mean: Any, variance: Any) -> None:
    import numpy as np

    for variable, value in ((layer.adapt_mean, mean), (layer.adapt_variance, variance)):
        variable.assign(np.broadcast_to(np.asarray(value, np.float64), variable.shape))
    layer.finalize_state()


@contextlib.contextmanager
def for_raw_inputs(network: Network, scaling: Scaling | None) -> Iterator[None]:
    """Within it the network takes inputs as they are in the data, as model.keras shall, and not scaled ones.

    But for columns that float32 is too coarse for, or that Keras cannot scale: see Scaling.offset and Scaling.divisor.
    """
    if scaling is None:
        yield
        return
    layer = network.preprocess[0].layer
    _set(layer, (scaling.mean - scaling.offset) / scaling.divisor, (scaling.deviation / scaling.divisor) ** 2)
    try:
        yield
    finally:
        for_scaled_inputs(network)


def for_scaled_inputs(network: Network) -> None:
    """Have the network take scaled inputs: its first layer changes nothing."""
    _set(network.preprocess[0].layer, 0.0, 1.0)


def scaling_of(layer: Any) -> Scaling:
    """The scaling that a Normalization layer undoes, in runs made before run.json kept it."""
    import numpy as np

    mean, variance = (np.asarray(v.value, np.float64).reshape(-1) for v in (layer.adapt_mean, layer.adapt_variance))
    return Scaling.known(mean, np.maximum(np.sqrt(variance), 1e-7))
