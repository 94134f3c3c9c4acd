"""What every backend's loop is made of."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from dlx.engine.plan import Plan, seed_of
from dlx.parts import metrics, penalties
from dlx.parts.augment import Mix
from dlx.system.backend import keras


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
        self.metrics = network.metrics()
        self.losses = keras.metrics.Mean(name="loss")
        for metric in self.metrics:  # some make their variables at the first update
            metrics.update(metric, *metrics.example(network.classes, network.units))
            metric.reset_state()
        names = ["loss", *(metric.name for metric in self.metrics)]
        splits = ("train", "val") if validated else ("train",)
        self.columns = (*(f"{split}_{name}" for split in splits for name in names), "learning_rate")

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
    def total(self, each: Any) -> Any:
        """The mean loss, with the penalties of the model's last call."""

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

    def forward(self, x: Any, y: Any, training: bool, mixed: Any = None) -> tuple[Any, Any]:
        """(logits, loss with penalties) of a batch; class weights and mixed labels count in training alone."""
        logits = self.model(x, training=training)
        each = self._losses(y, logits, training)
        if mixed is not None:
            partners, share = mixed
            others = self._losses(self.take(y, partners), logits, training)
            share = keras.ops.reshape(share, (-1, *(1 for _ in each.shape[1:])))
            each = share * each + (1.0 - share) * others
        return logits, self.total(each)

    def measure(self, y: Any, logits: Any) -> None:
        """Feed a batch to every metric: y as the loss takes it, (n, …), and logits."""
        predictions = self.network.activation(logits)
        for metric in self.metrics:
            if metric.name not in self.plan.units:
                metrics.update(metric, self._in_data(y), self._in_data(predictions))
                continue
            own = metric.name == "r2"  # the mean of a share of each target, which knows no unit
            metrics.update(metric, self._in_units(y, own), self._in_units(predictions, own))

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
