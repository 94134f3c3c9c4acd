"""Metrics, with Keras's names; `update` feeds them. Every one keeps sums, so that batches may have any size."""

from collections.abc import Callable
from typing import Any

from dlx.data.scaling import Scaling
from dlx.parts.losses import CLASSES, LABELS
from dlx.parts.registry import Part, Registry
from dlx.parts.types import Positive
from dlx.system.backend import keras

registry = Registry(
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


def units(scaling: Scaling | None) -> dict[str, float]:
    """By the name of each metric of values, what brings it from units of their largest deviation to the data's own."""
    if scaling is None:
        return {}
    unit = scaling.largest
    return {"mae": unit, "mse": unit * unit, "rmse": unit, "r2": 1.0}


def metric_name(part: Part) -> str:
    """The name that a metric's figures have: top_k: 3 is top_3_accuracy."""
    return f"top_{part.args['k']}_accuracy" if part.name == "top_k" else part.name


@registry.register
def accuracy(_units: int = 0, _task: str = CLASSES) -> Any:
    """The share of examples whose most probable class is the right one; of several labels, the share that is right."""
    if _units == 1 or _task == LABELS:
        return keras.metrics.BinaryAccuracy(name="accuracy")
    return keras.metrics.SparseCategoricalAccuracy(name="accuracy")


@registry.register
def top_k(k: Positive = 5) -> Any:
    """The share of examples whose class is among the k most probable ones; it is called top_5_accuracy."""
    return keras.metrics.SparseTopKCategoricalAccuracy(k=k, name=f"top_{k}_accuracy")


@registry.register
def exact_match() -> Any:
    """The share of examples of which every label is right (a label is predicted where its probability is above 1/2)."""

    def match(targets: Any, predictions: Any) -> Any:
        predicted = keras.ops.cast(predictions > 0.5, "float32")
        return keras.ops.cast(keras.ops.all(keras.ops.equal(predicted, targets), axis=-1), "float32")

    return keras.metrics.MeanMetricWrapper(match, name="exact_match")


@registry.register
def auc(_units: int = 0, _task: str = CLASSES) -> Any:
    """The area under the ROC curve: of the second of two classes, else the mean over classes or labels.

    Exact in the final figures of a split; while a training runs, Keras's approximation over 200 thresholds.
    """
    several = _task == LABELS or _units > 2

    class Area(keras.metrics.AUC):  # type: ignore[misc]
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            wanted, probabilities = _asked(y_true, y_pred, _task)
            return super().update_state(wanted, probabilities, sample_weight)

    return Area(name="auc", multi_label=several, num_labels=_units if several else None)


@registry.register
def precision(_units: int = 0, _task: str = CLASSES) -> Any:
    """Of what was predicted as a class, the share that is: of the second of two, else the mean over all."""
    return _counting("precision", lambda correct, predicted, actual: correct / (predicted + 1e-9), _units, _task)


@registry.register
def recall(_units: int = 0, _task: str = CLASSES) -> Any:
    """Of what is of a class, the share that was predicted as it: of the second of two, else the mean over all."""
    return _counting("recall", lambda correct, predicted, actual: correct / (actual + 1e-9), _units, _task)


@registry.register
def f1(_units: int = 0, _task: str = CLASSES) -> Any:
    """The harmonic mean of precision and recall: of the second of two classes, else the mean over all."""
    return _counting("f1", lambda correct, predicted, actual: 2 * correct / (predicted + actual + 1e-9), _units, _task)


def _asked(targets: Any, predictions: Any, task: str) -> tuple[Any, Any]:
    """(actual, probabilities) as columns: the second class of two, each of several classes, each label."""
    if task == LABELS:
        return keras.ops.cast(targets, "float32"), predictions
    if predictions.shape[-1] == 1:
        return keras.ops.cast(targets, "float32"), predictions
    wanted = keras.ops.one_hot(keras.ops.cast(targets, "int32"), predictions.shape[-1], dtype="float32")
    return (wanted[:, 1:], predictions[:, 1:]) if predictions.shape[-1] == 2 else (wanted, predictions)


def _counting(name: str, share: Callable[[Any, Any, Any], Any], units: int, task: str) -> Any:
    """A metric of how many were correct, predicted and actual, each counted for every column."""
    columns = units if task == LABELS or units > 2 else 1

    class Counting(keras.metrics.Metric):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name=name)
            counts = ("correct", "predicted", "actual")
            self.counts = [self.add_weight(name=n, shape=(columns,), initializer="zeros") for n in counts]

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            wanted, probabilities = _asked(y_true, y_pred, task)
            if task != LABELS and y_pred.shape[-1] > 1:
                chosen = keras.ops.one_hot(keras.ops.argmax(y_pred, axis=-1), y_pred.shape[-1], dtype="float32")
                predicted = chosen[:, 1:] if y_pred.shape[-1] == 2 else chosen
            else:
                predicted = keras.ops.cast(probabilities > 0.5, "float32")
            for count, column in zip(self.counts, (wanted * predicted, predicted, wanted), strict=True):
                count.assign_add(keras.ops.sum(column, axis=0))

        def result(self) -> Any:
            return keras.ops.mean(share(*self.counts))

    return Counting()


@registry.register
def mae() -> Any:
    """The mean absolute error, in the unit of the target."""
    return keras.metrics.MeanAbsoluteError(name="mae")


@registry.register
def mse() -> Any:
    """The mean squared error, in the squared unit of the target."""
    return keras.metrics.MeanSquaredError(name="mse")


@registry.register
def rmse() -> Any:
    """The root of the mean squared error, in the unit of the target."""
    return keras.metrics.RootMeanSquaredError(name="rmse")


@registry.register
def r2(_units: int = 1) -> Any:
    """The share of the targets' variance that is explained: 1 is perfect, 0 is as good as their mean.

    Of several targets the mean; one that never varies counts as 1 where it is met exactly, else as 0.
    """

    class R2(keras.metrics.Metric):  # type: ignore[misc]
        """Batches are merged by their means (Chan, Golub and LeVeque 1979): sums of squares lose their digits."""

        def __init__(self) -> None:
            super().__init__(name="r2")
            self.count = self.add_weight(name="count", initializer="zeros")
            names = ("mean", "spread", "error")
            self.sums = [self.add_weight(name=n, shape=(_units,), initializer="zeros") for n in names]

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            targets, (mean, spread, error) = keras.ops.cast(y_true, "float32"), self.sums
            size = keras.ops.cast(keras.ops.shape(targets)[0], "float32")
            here = keras.ops.mean(targets, axis=0)
            whole = self.count + size
            apart = here - mean
            inside = keras.ops.sum(keras.ops.square(targets - here), axis=0)
            spread.assign_add(inside + keras.ops.square(apart) * (self.count * size / whole))
            error.assign_add(keras.ops.sum(keras.ops.square(targets - y_pred), axis=0))
            mean.assign_add(apart * (size / whole))
            self.count.assign(whole)

        def result(self) -> Any:
            _, spread, error = (keras.ops.convert_to_tensor(variable) for variable in self.sums)
            varies = spread > 0
            shares = 1 - error / keras.ops.where(varies, spread, 1.0)
            return keras.ops.mean(keras.ops.where(varies, shares, keras.ops.cast(error == 0, "float32")))

    return R2()
