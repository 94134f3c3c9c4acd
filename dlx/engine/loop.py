"""What every backend's loop is made of."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from dlx.engine.plan import LOG_ROWS, Plan, seed_of
from dlx.parts import metrics, penalties
from dlx.parts.augment import Mix
from dlx.runs.metrics import maximized
from dlx.system.backend import keras


class Figures:
    """The losses and the metrics of a number of examples, summed until they are read.

    data_loss: whether the loss without penalties is counted beside it.
    """

    def __init__(self, network: Any, data_loss: bool) -> None:
        self.losses = [keras.metrics.Mean(name=name) for name in ("loss", "data_loss")[: 1 + data_loss]]
        self.metrics = network.metrics()
        for metric in self.metrics:  # some make their variables at the first update
            metrics.update(metric, *metrics.example(network.classes, network.units))
            metric.reset_state()
        self.all = (*self.losses, *self.metrics)
        self.names = [metric.name for metric in self.all]
        # The loss of the data comes last: an earlier dlx did not count it.
        counted = (self.losses[0], *self.metrics, *self.losses[1:])
        self.variables = [variable for metric in counted for variable in metric.variables]


class Loop(abc.ABC):
    """What a backend's loop is made of: the network's parts, its figures, and what each seed is for."""

    def __init__(self, network: Any, optimizer: Any, plan: Plan, validated: bool, size: int) -> None:
        self.network, self.optimizer, self.plan, self.validated, self.size = network, optimizer, plan, validated, size
        self.model = network.logits
        optimizer.build(self.model.trainable_variables)
        self.weights = list(self.model.weights)
        self.class_weights = None if plan.class_weights is None else np.asarray(plan.class_weights, np.float32)
        # Seed states are variables but no weights. Each step sets them, so that nothing random is carried along.
        known = {id(variable) for variable in self.weights}
        self.seeds = [v for v in self.model.variables if id(v) not in known]
        self.generators = [keras.random.SeedGenerator(0, name=f"augment_{n}") for n in range(len(network.augment))]
        purposes = ["order", *(f"layer {n}" for n in range(len(self.seeds)))]
        self.purposes = [*purposes, *(f"augment {n}" for n in range(len(self.generators)))]
        # All rows, in any order, are the same step.
        self.whole = plan.steps_per_epoch == 1 and not self.generators
        self.strengths = penalties.tune(self.model.trainable_variables)
        penalized = bool(self.model.losses)
        self.epoch_figures = Figures(network, penalized)
        # What `log_every` writes is counted apart, so that no figure of an epoch depends on it.
        self.step_figures = Figures(network, penalized) if plan.log_every else None
        splits, names = ("train", "val") if validated else ("train",), self.epoch_figures.names
        self.columns = (*(f"{split}_{name}" for split in splits for name in names), "learning_rate")
        self.log_columns = (*(f"train_{name}" for name in names), "learning_rate")
        self.counted = [*self.epoch_figures.variables, *(self.step_figures.variables if self.step_figures else ())]

    def seeds_of(self, plan: Plan) -> np.ndarray:
        """The seed of each purpose: (purposes,) int64."""
        return np.array([seed_of(plan.seed, purpose) for purpose in self.purposes], np.int64)

    def start(self) -> dict[str, Any]:
        """What counts and compares, as a training begins."""
        worst = np.float32(-np.inf if self.plan.maximize else np.inf)
        counts = ("step", "epochs", "best_epoch", "bad_step", "waited", "plateau_waited")
        return {
            **dict.fromkeys(counts, np.int64(0)),
            **dict.fromkeys(("best", "stop_best", "plateau_best"), worst),
            "stopped": np.bool_(False),
            "rate": np.float32(1.0),
        }

    @staticmethod
    @abc.abstractmethod
    def take(array: Any, rows: Any) -> Any:
        """The rows of an array."""

    @abc.abstractmethod
    def with_penalties(self, loss: Any) -> Any:
        """A mean loss with the penalties of the model's last call."""

    def augmented(self, x: Any) -> tuple[Any, Any]:
        """(the batch changed at random, whose labels it shares with which: (partners, shares), or None)."""
        mixed = None
        if self.generators:
            x = keras.ops.cast(x, "float32")
            for augment, generator in zip(self.network.augment, self.generators, strict=True):
                if isinstance(augment, Mix):
                    x, *mixed = augment.apply(x, generator)
                else:
                    x = augment(x, generator)
                x = keras.ops.stop_gradient(x)
        return x, mixed

    def forward(self, x: Any, y: Any, training: bool, mixed: Any = None) -> tuple[Any, tuple[Any, Any]]:
        """(logits, (loss with penalties, loss)) of a batch; class weights and mixed labels count in training alone."""
        logits = self.model(x, training=training)
        each = self._losses(y, logits, training)
        if mixed is not None:
            partners, share = mixed
            others = self._losses(self.take(y, partners), logits, training)
            share = keras.ops.reshape(share, (-1, *(1 for _ in each.shape[1:])))
            each = share * each + (1.0 - share) * others
        loss = keras.ops.mean(each)
        return logits, (self.with_penalties(loss), loss)

    def measure(self, figures: Figures, y: Any, logits: Any, losses: tuple[Any, Any]) -> None:
        """Count a batch: y as the loss takes it, (n, …), and what `forward` returned."""
        examples = keras.ops.cast(keras.ops.shape(y)[0], "float32")
        for mean, loss in zip(figures.losses, losses, strict=False):
            mean.update_state(loss, sample_weight=examples)
        predictions = self.network.activation(logits)
        for metric in figures.metrics:
            if metric.name not in self.plan.units:
                metrics.update(metric, self._in_data(y), self._in_data(predictions))
                continue
            own = metric.name == "r2"  # the mean of a share of each target, which knows no unit
            metrics.update(metric, self._in_units(y, own), self._in_units(predictions, own))

    def reached(self, row: Any) -> list[Any]:
        """Whether the row of an epoch is as good as each number of `stop_at`; a NaN is not."""
        pairs = [(name, row[self.columns.index(name)], number) for name, number in self.plan.stop_at.items()]
        return [figure >= number if maximized(name) else figure <= number for name, figure, number in pairs]

    def slot(self, step: Any) -> Any:
        """The place of a step's row of `log_every` among LOG_ROWS; where they are full, the oldest give way."""
        return (step // self.plan.log_every - 1) % LOG_ROWS

    def logged(self, kept: np.ndarray, step: int, end: int) -> np.ndarray:
        """The rows of `log_every` of the steps after `step`, up to `end`, from (LOG_ROWS, log_columns)."""
        every: Any = self.plan.log_every
        return kept[[self.slot(at) for at in range((step // every + 1) * every, end + 1, every)]]

    def _in_units(self, values: Any, own: bool) -> Any:
        """A regression's values around the mean of the train split, in units of the largest deviation, or of their own.

        What Plan.units names changes with neither but by a factor, and float32 keeps its digits.
        """
        scaling = self.network.target_scaling
        if scaling is None:
            return values
        if self.network.scales:
            return values if own else values * scaling.relative
        units = (scaling.deviation if own else np.full(scaling.deviation.shape, scaling.largest)).astype(np.float32)
        return (keras.ops.cast(values, "float32") - scaling.mean.astype(np.float32)) / units

    def _in_data(self, values: Any) -> Any:
        """Values in the data's own unit, which a metric of the user's code may depend on."""
        scaling = self.network.target_scaling
        if scaling is None or not self.network.scales:
            return values
        return values * scaling.deviation.astype(np.float32) + scaling.mean.astype(np.float32)

    def _losses(self, y: Any, logits: Any, training: bool) -> Any:
        """The loss of each class number or example, times the weight of its class in training."""
        each = self.network.loss(y, logits, self.network.activation)
        return each if self.class_weights is None or not training else each * self.take(self.class_weights, y)
