"""Losses and metrics, with Keras's names.

A loss part returns `(targets, logits, activation) -> scalar`: targets are class numbers (n,) int32
or values or labels (n, k); logits are (n, units) float32, before the head's activation. The scalar is the
batch's mean.
"""

from collections.abc import Callable
from typing import Any

from dlx.backend import keras
from dlx.registry import Registry

registry = Registry(
    "loss",
    aliases={"crossentropy": "categorical_crossentropy", "mse": "mean_squared_error", "mae": "mean_absolute_error",
             "bce": "binary_crossentropy", "meansquare": "mean_squared_error", "l2": "mean_squared_error"},
)  # fmt: skip
metrics = Registry(
    "metric",
    aliases={
        "acc": "accuracy",
        "meanabsoluteerror": "mae",
        "meansquarederror": "mse",
        "loss": "accuracy",
        "subsetaccuracy": "exact_match",
        "exactmatchratio": "exact_match",
    },
)

Loss = Callable[[Any, Any, Any], Any]


def spread(targets: Any, units: int) -> Any:
    """Targets as the head's units see them: class numbers become (n, units) float32."""
    if len(targets.shape) > 1:
        return keras.ops.cast(targets, "float32")
    if units == 1:
        return keras.ops.cast(keras.ops.expand_dims(targets, -1), "float32")
    return keras.ops.one_hot(targets, units, dtype="float32")


@registry.register
def categorical_crossentropy() -> Loss:
    """For one unit a class: minus the logarithm of the right class's probability."""

    def loss(targets: Any, logits: Any, activation: Any) -> Any:
        _expect("softmax", activation)
        return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True))

    return loss


@registry.register
def sparse_categorical_crossentropy() -> Loss:
    """The same as categorical_crossentropy: dlx keeps class numbers and spreads them where needed."""
    return categorical_crossentropy()


@registry.register
def binary_crossentropy() -> Loss:
    """For a sigmoid: each unit is a question of its own."""

    def loss(targets: Any, logits: Any, activation: Any) -> Any:
        _expect("sigmoid", activation)
        wanted = spread(targets, logits.shape[-1])
        return keras.ops.mean(keras.losses.binary_crossentropy(wanted, logits, from_logits=True))

    return loss


@registry.register
def mean_squared_error() -> Loss:
    """The mean of the squared differences between targets and predictions."""

    def loss(targets: Any, logits: Any, activation: Any) -> Any:
        predictions = activation(logits)
        return keras.ops.mean(keras.ops.square(spread(targets, logits.shape[-1]) - predictions))

    return loss


@registry.register
def mean_absolute_error() -> Loss:
    """The mean of the absolute differences between targets and predictions."""

    def loss(targets: Any, logits: Any, activation: Any) -> Any:
        predictions = activation(logits)
        return keras.ops.mean(keras.ops.abs(spread(targets, logits.shape[-1]) - predictions))

    return loss


def _expect(name: str, activation: Any) -> None:
    found = getattr(activation, "__name__", "linear")
    if found not in (name, "linear"):
        raise ValueError(f"this loss expects a head with {name} (or none), got {found}")


@metrics.register
def accuracy(_units: int = 0, _task: str = "classification") -> Any:
    """The share of examples whose most probable class is the right one; of several labels, the share that is right."""
    if _units == 1 or _task == "multi_label":
        return keras.metrics.BinaryAccuracy(name="accuracy")
    return keras.metrics.SparseCategoricalAccuracy(name="accuracy")


@metrics.register
def exact_match() -> Any:
    """The share of examples of which every label is right (a label is said where its probability is above 1/2)."""

    def match(targets: Any, predictions: Any) -> Any:
        said = keras.ops.cast(predictions > 0.5, "float32")
        return keras.ops.cast(keras.ops.all(keras.ops.equal(said, targets), axis=-1), "float32")

    return keras.metrics.MeanMetricWrapper(match, name="exact_match")


@metrics.register
def mae() -> Any:
    """The mean absolute error, in the unit of the target."""
    return keras.metrics.MeanAbsoluteError(name="mae")


@metrics.register
def mse() -> Any:
    """The mean squared error, in the squared unit of the target."""
    return keras.metrics.MeanSquaredError(name="mse")
