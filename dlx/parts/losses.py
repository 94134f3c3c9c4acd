"""Losses, with Keras's names.

A loss part returns `(targets, logits, activation) -> losses`: targets are class numbers (n,) or (n, steps) int32,
or values or labels (n, k); logits are (n, units) or (n, steps, units) float32, before the head's activation.
There is one loss for each class number, (n,) or (n, steps), or for each example, (n,).
"""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from dlx.parts.registry import Registry
from dlx.parts.types import NonNegative, PositiveFloat
from dlx.system.backend import keras

registry = Registry(
    "loss",
    aliases={"crossentropy": "categorical_crossentropy", "mse": "mean_squared_error", "mae": "mean_absolute_error",
             "bce": "binary_crossentropy", "meansquare": "mean_squared_error", "l2": "mean_squared_error",
             "focal": "categorical_focal_crossentropy", "focalloss": "categorical_focal_crossentropy",
             "smoothl1": "huber", "logcosh": "log_cosh"},
)  # fmt: skip

Loss = Callable[[Any, Any, Any], Any]
Smoothing = Annotated[float, Field(ge=0, lt=1)]

# The tasks that a part is for; one that is not here (a user's) is for all of them.
CLASSES, VALUES, LABELS = "classification", "regression", "multi_label"
TASKS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("accuracy", "auc", "f1", "precision", "recall"), (CLASSES, LABELS)),
    **dict.fromkeys(("mae", "mse", "rmse", "r2"), (VALUES,)),
    "exact_match": (LABELS,),
    "top_k": (CLASSES,),
    **dict.fromkeys(("categorical_crossentropy", "sparse_categorical_crossentropy"), (CLASSES,)),
    "categorical_focal_crossentropy": (CLASSES,),
    **dict.fromkeys(("binary_crossentropy", "binary_focal_crossentropy"), (CLASSES, LABELS)),
}
# The activations of the head for which a loss is defined; the first is that whose logits it is computed from.
HEADS: dict[str, tuple[str, ...]] = {
    "categorical_crossentropy": ("softmax", "sigmoid", "hard_sigmoid", "sparsemax"),
    "sparse_categorical_crossentropy": ("softmax", "sigmoid", "hard_sigmoid", "sparsemax"),
    "categorical_focal_crossentropy": ("softmax",),
    "binary_crossentropy": ("sigmoid", "softmax", "hard_sigmoid", "sparse_sigmoid", "sparsemax"),
    "binary_focal_crossentropy": ("sigmoid",),
}


def spread(targets: Any, units: int) -> Any:
    """Targets as the head's units see them: class numbers become (…, units) float32."""
    if keras.backend.standardize_dtype(targets.dtype).startswith("float"):
        return keras.ops.cast(targets, "float32")
    if units == 1:
        return keras.ops.cast(keras.ops.expand_dims(targets, -1), "float32")
    return keras.ops.one_hot(targets, units, dtype="float32")


@registry.register
def categorical_crossentropy(label_smoothing: Smoothing = 0.0) -> Loss:
    """For one unit a class: minus the logarithm of the right class's probability.

    `label_smoothing` takes that share of the certainty and spreads it over all classes (Szegedy et al. 2015).
    """

    def loss(targets: Any, logits: Any, activation: Any) -> Any:
        raw = activation is keras.activations.softmax
        outputs = logits if raw else activation(logits)
        if not label_smoothing:
            return keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=raw)
        wanted = spread(targets, logits.shape[-1])
        return keras.losses.categorical_crossentropy(wanted, outputs, from_logits=raw, label_smoothing=label_smoothing)

    return loss


@registry.register
def sparse_categorical_crossentropy() -> Loss:
    """The same as categorical_crossentropy: dlx keeps class numbers and spreads them where needed."""
    return categorical_crossentropy()


@registry.register
def categorical_focal_crossentropy(gamma: NonNegative = 2.0, alpha: PositiveFloat = 0.25) -> Loss:
    """Crossentropy that passes over what is right already (Lin et al. 2017): for one unit a class."""

    def loss(targets: Any, logits: Any, activation: Any) -> Any:
        wanted = spread(targets, logits.shape[-1])
        return keras.losses.categorical_focal_crossentropy(wanted, logits, alpha=alpha, gamma=gamma, from_logits=True)

    return loss


@registry.register
def binary_crossentropy(label_smoothing: Smoothing = 0.0) -> Loss:
    """For a sigmoid: each unit is a question of its own. For a softmax of two it is categorical_crossentropy."""

    def loss(targets: Any, logits: Any, activation: Any) -> Any:
        if activation is keras.activations.softmax and logits.shape[-1] == 2:  # the same number, from exact logits
            return categorical_crossentropy(label_smoothing)(targets, logits, activation)
        wanted, raw = spread(targets, logits.shape[-1]), activation is keras.activations.sigmoid
        outputs = logits if raw else activation(logits)
        return keras.losses.binary_crossentropy(wanted, outputs, from_logits=raw, label_smoothing=label_smoothing)

    return loss


@registry.register
def binary_focal_crossentropy(gamma: NonNegative = 2.0) -> Loss:
    """Binary crossentropy that passes over what is right already (Lin et al. 2017)."""

    def loss(targets: Any, logits: Any, activation: Any) -> Any:
        wanted = spread(targets, logits.shape[-1])
        return keras.losses.binary_focal_crossentropy(wanted, logits, gamma=gamma, from_logits=True)

    return loss


def _of_values(function: Callable[[Any, Any], Any]) -> Loss:
    """One of Keras's losses of targets and predictions (not logits): its mean over the last axis."""

    def loss(targets: Any, logits: Any, activation: Any) -> Any:
        return function(spread(targets, logits.shape[-1]), activation(logits))

    return loss


@registry.register
def mean_squared_error() -> Loss:
    """The mean of the squared differences between targets and predictions."""
    return _of_values(keras.losses.mean_squared_error)


@registry.register
def mean_absolute_error() -> Loss:
    """The mean of the absolute differences between targets and predictions."""
    return _of_values(keras.losses.mean_absolute_error)


@registry.register
def huber(delta: PositiveFloat = 1.0) -> Loss:
    """Squared differences up to `delta`, absolute ones beyond (Huber 1964): outliers pull less."""
    return _of_values(lambda targets, predictions: keras.losses.huber(targets, predictions, delta=delta))


@registry.register
def log_cosh() -> Loss:
    """The logarithm of the hyperbolic cosine of the differences: squared where small, absolute where large."""
    return _of_values(keras.losses.log_cosh)
