"""What a training is: its plan, its compiled program, and the progress that it reports."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from dlx.parts.schedules import Plateau

ROWS = 1024  # the epochs that one chunk may finish: XLA wants to know
LOG_ROWS = 4096  # the rows of `log_every` that one chunk may write
# What lanes of one program may differ in beside the rate and the penalties: one number of these layers, and these of
# an optimizer; whether one is 0 makes another structure of it.
LANE_LAYERS = {
    "dropout": "rate", "spatial_dropout1d": "rate", "spatial_dropout2d": "rate", "spatial_dropout3d": "rate",
    "gaussian_noise": "stddev",
}  # fmt: skip
LANE_OPTIMIZERS = ("momentum", "beta_1", "beta_2", "rho", "weight_decay")
State = Mapping[str, Any]
Keep = Literal["best", "last"]
Block = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Plan:
    """How long, how fast and by which figure.

    usual_lr: with which the optimizer is used, if that is known.
    steps: of the whole training; monitor: a column; patience: epochs, None for no early stop.
    schedule: progress in 0..1 to a factor of lr, None for a constant rate; plateau lowers it by the monitored figure.
    class_weights: what the loss of an example of each class counts, in training alone.
    units: by the metric's name, what its figures are multiplied by: the loop computes them in units of its own.
    stop_at: the training ends after the first epoch in which every column named here is at least as good as its number.
    log_every: steps from one row of train figures to the next, None for no such rows.
    snapshots, judged, histograms: after these epochs, and after every so many, a chunk ends.
    """

    seed: int
    lr: float
    batch_size: int
    steps_per_epoch: int
    steps: int
    monitor: str
    maximize: bool = False
    patience: int | None = None
    min_delta: float = 0.0
    schedule: Callable[[Any], Any] | None = None
    plateau: Plateau | None = None
    class_weights: tuple[float, ...] | None = None
    units: Mapping[str, float] = field(default_factory=dict)
    stop_at: Mapping[str, float] = field(default_factory=dict)
    log_every: int | None = None
    snapshots: tuple[int, ...] = ()
    judged: tuple[int, ...] = ()
    histograms: int | None = None
    usual_lr: float | None = None

    def pause(self, step: int) -> int:
        """The first step after `step` at which a chunk must end."""
        epoch = step // self.steps_per_epoch
        epochs = [after for after in (*self.snapshots, *self.judged) if after > epoch]
        if self.histograms:
            epochs.append((epoch // self.histograms + 1) * self.histograms)
        ends = [self.steps, *(after * self.steps_per_epoch for after in epochs)]
        return min([*ends, step + LOG_ROWS * self.log_every] if self.log_every else ends)


@dataclass(frozen=True)
class Program:
    """A compiled training: what `chunk` changes, what it reads, and the figures that a row holds.

    `restore` puts the best weights, or the last ones, into the network. `logged(state, step, end)` are the rows of
    `log_every` between two steps of the last chunk: (rows, log_columns). `weights` are those of the network, in its
    order.
    `pieces` are the parts of an epoch, for inputs that stay on disk. `reuse(network, optimizer, plan)` is the same
    program for a training that differs in the seed, the rate and the strengths of penalties alone: nothing is compiled.
    `compiled`: whether XLA compiles the steps.
    `save` gives the state as arrays, `load` a state from such arrays: see `with_state`. `lanes` makes one program of
    several trainings that `reuse` would take, and that may also differ in dropout and momentum; None where none can be
    made.
    """

    state: State
    data: tuple[Any, ...]
    chunk: Callable[[State, tuple[Any, ...], int], tuple[State, np.ndarray]]
    columns: tuple[str, ...]
    log_columns: tuple[str, ...]
    counters: Callable[[State], dict[str, float]]
    restore: Callable[[State, Keep], None]
    logged: Callable[[State, int, int], np.ndarray]
    weights: Callable[[State], list[np.ndarray]]
    pieces: Pieces
    reuse: Callable[[Any, Any, Plan], Program]
    save: Callable[[State], dict[str, np.ndarray]]
    load: Callable[[Mapping[str, np.ndarray]], State]
    compiled: bool = True
    lanes: Callable[[Sequence[Member]], Lanes] | None = None


@dataclass(frozen=True)
class Member:
    """One of several trainings of one structure: its network, its optimizer and its plan."""

    network: Any
    optimizer: Any
    plan: Plan


@dataclass(frozen=True)
class Lanes:
    """Several trainings as one program, a lane each; `states` are those of a Program, stacked, (lanes, …) each.

    numbers: (lanes, n) what lanes differ in beside their states: dropout rates, momenta. chunk: the states, the
    numbers, the step that all are at, so many steps -> the states, the rows of each lane. lane: one lane's state; take:
    the states and numbers of some lanes; counters: (lanes,) each; fetch: the states as arrays of NumPy.
    """

    states: State
    numbers: Any
    chunk: Callable[[State, Any, int, int], tuple[State, list[np.ndarray]]]
    lane: Callable[[State, int], State]
    take: Callable[[State, Any, Sequence[int]], tuple[State, Any]]
    counters: Callable[[State], Mapping[str, np.ndarray]]
    fetch: Callable[[State], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Pieces:
    """The parts of an epoch whose examples come in blocks, (inputs, targets).

    order: a seed, and an epoch's number from 0 -> the row numbers in the order in which they are seen.
    train: so many steps on the rows of a block; reset_metrics: the train figures, which start over; evaluate: counts a
    block; end: what every epoch's end does, with the train figures -> the row.
    """

    order: Callable[[int, int], np.ndarray]
    train: Callable[[State, Block, int], State]
    reset_metrics: Callable[[State], tuple[State, Any]]
    evaluate: Callable[[State, Block], State]
    end: Callable[[State, Any], tuple[State, np.ndarray]]


@dataclass(frozen=True)
class Chunk:
    """What one compiled call, or one block, has done: the state, a row an epoch that it finished, and the counters.

    seconds: what it took; resumable: the state is not in the middle of the end of an epoch.
    """

    state: State
    rows: np.ndarray
    counters: Mapping[str, float]
    seconds: float
    resumable: bool = True


@dataclass(frozen=True)
class Progress:
    """What `fit` yields after each chunk: where the training is, its state, and the epochs that it finished.

    logged: the rows of `log_every`.
    seconds: what the chunk took; carried: those of an epoch that is not finished; resumable: the training can continue
    from the state, as all was finite so far.
    """

    step: int
    epochs: int
    state: State
    rows: list[dict[str, float]]
    logged: list[dict[str, float]]
    seconds: float
    best_epoch: int | None
    stopped: bool
    carried: float = 0.0
    resumable: bool = True


def seed_of(seed: int, purpose: str) -> int:
    """A number for one purpose of a run's seed, below 2**32."""
    return zlib.crc32(f"{seed}/{purpose}".encode())


def plain_array(value: Any) -> np.ndarray:
    """An array that NumPy alone can keep: bfloat16 and similar types become float32, which holds them exactly."""
    array = np.asarray(value)
    return array if array.dtype.kind in "biuf" else array.astype(np.float32)
