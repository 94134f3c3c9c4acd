"""A few steps on a few examples, on the backend that trains: what probes are made of. Nothing is left behind."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dlx.data.dataset import Split
from dlx.data.splits import Splits
from dlx.engine.fit import compile_program
from dlx.model.build import build, make_optimizer
from dlx.model.network import Network
from dlx.model.statistics import fit_preprocessing
from dlx.parts.registry import Part
from dlx.spec.sections import Spec
from dlx.training.experiment import Experiment, plan_of

if TYPE_CHECKING:
    import numpy as np

PIECE = 25  # steps of a call
FITTED = 5000  # rows of train that the preprocessing of a probe is fitted on


@dataclass(frozen=True, eq=False)
class Steps:
    """What some steps did: the weights before the first and after it, and the loss of each, before its update.

    names: of the weights; trained: whether the training changes them. The losses are without penalties.
    """

    names: list[str]
    trained: list[bool]
    before: list[np.ndarray]
    after: list[np.ndarray]
    losses: list[float]


def sample(experiment: Experiment, rows: int, seed: int = 0) -> Split:
    """Some examples of the train split, the same ones each time."""
    import numpy as np

    count = len(experiment.splits.train)
    chosen = np.sort(np.random.default_rng(seed).permutation(count)[: min(rows, count)])
    split = experiment.splits.train.take(chosen)
    return replace(split, inputs=np.asarray(split.inputs[:]))


def network(experiment: Experiment) -> Network:
    """The network of an experiment as it begins, its preprocessing fitted on a part of train."""
    made = build(experiment.spec, experiment.facts, targets=experiment.target_scaling)
    fit_preprocessing(made, sample(experiment, FITTED).inputs, experiment.dataset.input_scaling)
    return made


def train(
    experiment: Experiment,
    split: Split,
    steps: int,
    optimizer: Part | None = None,
    lr: float | None = None,
    enough: float = -math.inf,
) -> Steps:
    """Train the network as it begins on a split, all of it a batch, without augmentation, at a constant rate.

    optimizer, lr: instead of the spec's own; enough: the loss at which to stop before.
    """
    made = network(experiment)
    spec = alone(experiment.spec, steps, optimizer, lr)
    plan = plan_of(replace(experiment, spec=spec, splits=Splits(split, None, None)))
    data = (split.inputs, made.learned(split.targets))
    program = compile_program(replace(made, augment=[]), make_optimizer(spec), plan, data, None)
    names = [weight.path for weight in made.model.weights]
    learned = {weight.path for weight in made.model.trainable_variables}
    column = program.columns.index("train_data_loss" if "train_data_loss" in program.columns else "train_loss")
    before = [array.copy() for array in program.weights(program.state)]
    state, rows = program.chunk(program.state, program.data, 1)
    after = [array.copy() for array in program.weights(state)]
    losses = [float(row[column]) for row in rows]
    while losses and len(losses) < steps and math.isfinite(losses[-1]) and statistics.fmean(losses[-5:]) > enough:
        state, rows = program.chunk(state, program.data, min(steps - len(losses), PIECE))
        if not len(rows):
            losses.append(math.inf)  # not finite: that ended it
        losses += [float(row[column]) for row in rows]
    return Steps(names, [name in learned for name in names], before, after, losses)


def alone(spec: Spec, steps: int, optimizer: Part | None = None, lr: float | None = None) -> Spec:
    """The spec of so many steps, and nothing else that it says of the training."""
    return replace(
        spec, optimizer=optimizer or spec.optimizer, lr=lr or spec.lr, schedule=Part("constant"), batch_size="full",
        epochs=None, steps=steps, monitor="train_loss", early_stop=None, stop_at=None, log_every=None, snapshots=[],
        histograms=None, validation="none", augment=[], keep="last",
    )  # fmt: skip
