"""Losses and metrics, with Keras's names.

A loss part returns `(targets, logits, activation) -> losses`: targets are class numbers (n,) or (n, steps) int32,
or values or labels (n, k); logits are (n, units) or (n, steps, units) float32, before the head's activation.
There is one loss for each class number, (n,) or (n, steps), or for each example, (n,).
"""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from dlx.parts.registry import Part, Registry
from dlx.parts.types import NonNegative, Positive, PositiveFloat
from dlx.system.backend import keras

registry = Registry(
    "loss",
    aliases={"crossentropy": "categorical_crossentropy", "mse": "mean_squared_error", "mae": "mean_absolute_error",
             "bce": "binary_crossentropy", "meansquare": "mean_squared_error", "l2": "mean_squared_error",
             "focal": "categorical_focal_crossentropy", "focalloss": "categorical_focal_crossentropy",
             "smoothl1": "huber", "logcosh": "log_cosh"},
)  # fmt: skip
metrics = Registry(
    "metric",
    aliases={
        "acc": "accuracy",
        "meanabsoluteerror": "mae",
        "meansquarederror": "mse",
        "rootmeansquarederror": "rmse",
        "loss": "accuracy",
        "subsetaccuracy": "exact_match",
        "exactmatchratio": "exact_match",
        "f1score": "f1",
        "rocauc": "auc",
        "r2score": "r2",
        "topkcategoricalaccuracy": "top_k",
        "top5": "top_k",
    },
)

Loss = Callable[[Any, Any, Any], Any]
Smoothing = Annotated[float, Field(ge=0, lt=1)]

# The tasks that a part is for; one that is not here (an own one) is for all of them.
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
# The activation of the head that a loss is computed for, from its logits.
HEADS = {
    "categorical_crossentropy": "softmax",
    "sparse_categorical_crossentropy": "softmax",
    "categorical_focal_crossentropy": "softmax",
    "binary_crossentropy": "sigmoid",
    "binary_focal_crossentropy": "sigmoid",
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
        if not label_smoothing:
            return keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)
        wanted = spread(targets, logits.shape[-1])
        return keras.losses.categorical_crossentropy(wanted, logits, from_logits=True, label_smoothing=label_smoothing)

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
    """For a sigmoid: each unit is a question of its own."""

    def loss(targets: Any, logits: Any, activation: Any) -> Any:
        wanted = spread(targets, logits.shape[-1])
        return keras.losses.binary_crossentropy(wanted, logits, from_logits=True, label_smoothing=label_smoothing)

    return loss


@registry.register
def binary_focal_crossentropy(gamma: NonNegative = 2.0) -> Loss:
    """Binary crossentropy that passes over what is right already (Lin et al. 2017)."""

    def loss(targets: Any, logits: Any, activation: Any) -> Any:
        wanted = spread(targets, logits.shape[-1])
        return keras.losses.binary_focal_crossentropy(wanted, logits, gamma=gamma, from_logits=True)

    return loss


def _of_values(between: Callable[[Any, Any], Any]) -> Loss:
    """A loss of targets and predictions, the mean over the last axis."""

    def loss(targets: Any, logits: Any, activation: Any) -> Any:
        return keras.ops.mean(between(spread(targets, logits.shape[-1]), activation(logits)), axis=-1)

    return loss


@registry.register
def mean_squared_error() -> Loss:
    """The mean of the squared differences between targets and predictions."""
    return _of_values(lambda wanted, found: keras.ops.square(wanted - found))


@registry.register
def mean_absolute_error() -> Loss:
    """The mean of the absolute differences between targets and predictions."""
    return _of_values(lambda wanted, found: keras.ops.abs(wanted - found))


@registry.register
def huber(delta: PositiveFloat = 1.0) -> Loss:
    """Squared differences up to `delta`, absolute ones beyond (Huber 1964): outliers pull less."""

    def between(wanted: Any, found: Any) -> Any:
        size = keras.ops.abs(wanted - found)
        return keras.ops.where(size <= delta, 0.5 * size * size, delta * size - 0.5 * delta * delta)

    return _of_values(between)


@registry.register
def log_cosh() -> Loss:
    """The logarithm of the hyperbolic cosine of the differences: squared where small, absolute where large."""

    def between(wanted: Any, found: Any) -> Any:
        apart = found - wanted
        return apart + keras.ops.softplus(-2.0 * apart) - 0.6931472

    return _of_values(between)


# Metrics: `update` feeds them; every one keeps sums, so that batches may have any size.


def update(metric: Any, targets: Any, predictions: Any) -> None:
    """Feed a batch to a Keras metric: steps of sequences as examples, class numbers as a column for one unit."""
    if len(predictions.shape) == 3:
        targets, predictions = (
            keras.ops.reshape(targets, (-1,)),
            keras.ops.reshape(predictions, (-1, predictions.shape[-1])),
        )
    if len(targets.shape) == 1 and predictions.shape[-1] == 1:
        targets = keras.ops.expand_dims(targets, -1)
    metric.update_state(targets, predictions)


def example(classes: bool, units: int) -> tuple[Any, Any]:
    """Targets and predictions of one made-up example, in the shapes of the real ones: it makes a metric's variables."""
    predictions = keras.ops.ones((1, units)) / units
    return keras.ops.zeros((1,), "int32") if classes else keras.ops.zeros((1, units)), predictions


def metric_name(part: Part) -> str:
    """The name that a metric's figures have: top_k: 3 is top_3_accuracy."""
    return f"top_{part.args['k']}_accuracy" if part.name == "top_k" else part.name


@metrics.register
def accuracy(_units: int = 0, _task: str = CLASSES) -> Any:
    """The share of examples whose most probable class is the right one; of several labels, the share that is right."""
    if _units == 1 or _task == LABELS:
        return keras.metrics.BinaryAccuracy(name="accuracy")
    return keras.metrics.SparseCategoricalAccuracy(name="accuracy")


@metrics.register
def top_k(k: Positive = 5) -> Any:
    """The share of examples whose class is among the k most probable ones; it is called top_5_accuracy."""
    return keras.metrics.SparseTopKCategoricalAccuracy(k=k, name=f"top_{k}_accuracy")


@metrics.register
def exact_match() -> Any:
    """The share of examples of which every label is right (a label is said where its probability is above 1/2)."""

    def match(targets: Any, predictions: Any) -> Any:
        said = keras.ops.cast(predictions > 0.5, "float32")
        return keras.ops.cast(keras.ops.all(keras.ops.equal(said, targets), axis=-1), "float32")

    return keras.metrics.MeanMetricWrapper(match, name="exact_match")


@metrics.register
def auc(_units: int = 0, _task: str = CLASSES) -> Any:
    """The area under the ROC curve: of the second of two classes, else the mean over classes or labels.

    Keras's approximation over 200 thresholds.
    """
    several = _task == LABELS or _units > 2

    class Area(keras.metrics.AUC):  # type: ignore[misc]
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            wanted, found = _asked(y_true, y_pred, _task)
            return super().update_state(wanted, found, sample_weight)

    return Area(name="auc", multi_label=several, num_labels=_units if several else None)


@metrics.register
def precision(_units: int = 0, _task: str = CLASSES) -> Any:
    """Of what was said to be of a class, the share that is: of the second of two, else the mean over all."""
    return _counting("precision", lambda right, said, there: right / (said + 1e-9), _units, _task)


@metrics.register
def recall(_units: int = 0, _task: str = CLASSES) -> Any:
    """Of what is of a class, the share that was said to be: of the second of two, else the mean over all."""
    return _counting("recall", lambda right, said, there: right / (there + 1e-9), _units, _task)


@metrics.register
def f1(_units: int = 0, _task: str = CLASSES) -> Any:
    """The harmonic mean of precision and recall: of the second of two classes, else the mean over all."""
    return _counting("f1", lambda right, said, there: 2 * right / (said + there + 1e-9), _units, _task)


def _asked(targets: Any, predictions: Any, task: str) -> tuple[Any, Any]:
    """(wanted, found) as columns: the second class of two, each of several classes, each label."""
    if task == LABELS:
        return keras.ops.cast(targets, "float32"), predictions
    if predictions.shape[-1] == 1:
        return keras.ops.cast(targets, "float32"), predictions
    wanted = keras.ops.one_hot(keras.ops.cast(targets, "int32"), predictions.shape[-1], dtype="float32")
    return (wanted[:, 1:], predictions[:, 1:]) if predictions.shape[-1] == 2 else (wanted, predictions)


def _counting(name: str, share: Callable[[Any, Any, Any], Any], units: int, task: str) -> Any:
    """A metric of how many were right, said and there, each counted for every column."""
    columns = units if task == LABELS or units > 2 else 1

    class Counting(keras.metrics.Metric):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name=name)
            counts = ("right", "said", "there")
            self.counts = [self.add_weight(name=n, shape=(columns,), initializer="zeros") for n in counts]

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            wanted, found = _asked(y_true, y_pred, task)
            if task != LABELS and y_pred.shape[-1] > 1:
                chosen = keras.ops.one_hot(keras.ops.argmax(y_pred, axis=-1), y_pred.shape[-1], dtype="float32")
                said = chosen[:, 1:] if y_pred.shape[-1] == 2 else chosen
            else:
                said = keras.ops.cast(found > 0.5, "float32")
            for count, column in zip(self.counts, (wanted * said, said, wanted), strict=True):
                count.assign_add(keras.ops.sum(column, axis=0))

        def result(self) -> Any:
            return keras.ops.mean(share(*self.counts))

    return Counting()


@metrics.register
def mae() -> Any:
    """The mean absolute error, in the unit of the target."""
    return keras.metrics.MeanAbsoluteError(name="mae")


@metrics.register
def mse() -> Any:
    """The mean squared error, in the squared unit of the target."""
    return keras.metrics.MeanSquaredError(name="mse")


@metrics.register
def rmse() -> Any:
    """The root of the mean squared error, in the unit of the target."""
    return keras.metrics.RootMeanSquaredError(name="rmse")


@metrics.register
def r2() -> Any:
    """The share of the targets' variance that is explained: 1 is perfect, 0 is as good as their mean."""
    return keras.metrics.R2Score(name="r2")
