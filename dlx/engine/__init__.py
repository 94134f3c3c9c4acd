"""The compiled training loop: `fit` drives it, one file a backend compiles it.

A chunk is a number of steps done by one compiled call, `chunk(state, data, steps) -> state, rows`. It may be
part of an epoch or span several: validation, best weights and the stopping test happen inside it, and it
returns a row for each epoch that it finished. No figure depends on how long the chunks are.

Every random number is a function of (seed, purpose, epoch or step), so there is no random state to keep.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlx.errors import TrainingError
from dlx.parts.schedules import Plateau

CHUNK_SECONDS = 0.25


@dataclass(frozen=True)
class Plan:
    """How long, how fast and by which figure.

    steps: of the whole training; monitor: a column; patience: epochs, None for no early stop.
    schedule: progress in 0..1 to a factor of lr, None for a constant rate; plateau lowers it by the monitored figure.
    class_weights: what the loss of an example of each class counts, in training alone.
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


@dataclass(frozen=True)
class Program:
    """A compiled training: what `chunk` changes, what it reads, and the figures that a row holds."""

    state: Mapping[str, Any]
    data: tuple[Any, ...]
    chunk: Callable[[Mapping[str, Any], tuple[Any, ...], int], tuple[Mapping[str, Any], np.ndarray]]
    columns: tuple[str, ...]
    counters: Callable[[Mapping[str, Any]], dict[str, float]]
    restore_best: Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Progress:
    """What `fit` yields after each chunk: where the training is, and the epochs that it finished."""

    step: int
    rows: list[dict[str, float]]
    seconds: float
    best_epoch: int | None
    stopped: bool


def seed_of(seed: int, purpose: str) -> int:
    """A number for one purpose of a run's seed, below 2**32."""
    return zlib.crc32(f"{seed}/{purpose}".encode())


def compile(network: Any, optimizer: Any, plan: Plan, train: Any, validation: Any) -> Program:
    """The program of a network for the backend that is loaded; train and validation: (inputs, targets)."""
    from dlx.engine import tensorflow

    return tensorflow.compile(network, optimizer, plan, train, validation)


def fit(program: Program, plan: Plan, chunk_steps: int | None = None) -> Iterator[Progress]:
    """Train; yields after every chunk. Raises TrainingError at the first loss that is not finite.

    `chunk_steps` fixes the length of the chunks; without it a call lasts about a quarter of a second.
    """
    state, step, length = program.state, 0, chunk_steps or 1
    clock = _Clock()
    while step < plan.steps:
        started = time.perf_counter()
        state, rows = program.chunk(state, program.data, min(length, plan.steps - step))
        seconds = time.perf_counter() - started
        counters = program.counters(state)
        done = int(counters["step"]) - step
        yield Progress(
            int(counters["step"]),
            clock.share(_rows(program, plan, rows, int(counters["epochs"])), step, step + done, seconds),
            seconds,
            int(counters["best_epoch"]) or None,
            bool(counters["stopped"]),
        )
        step = int(counters["step"])
        if counters["bad_step"] > 0:
            raise diverged(int(counters["bad_step"]), plan)
        if counters["stopped"]:
            return
        if chunk_steps is None:
            length = next_length(length, done, seconds)


def next_length(length: int, done: int, seconds: float) -> int:
    """The steps of the next chunk: aims at a quarter of a second, and grows at most eightfold at a time."""
    ideal = done * CHUNK_SECONDS / max(seconds, 1e-6)
    return max(1, min(int(ideal), 8 * length))


def _rows(program: Program, plan: Plan, rows: np.ndarray, epochs: int) -> list[dict[str, float]]:
    """The chunk's rows as mappings."""
    found = []
    for number, row in enumerate(rows, epochs - len(rows) + 1):
        step = min(number * plan.steps_per_epoch, plan.steps)
        figures = {name: float(value) for name, value in zip(program.columns, row, strict=True)}
        found.append({"epoch": number, "step": step, **figures})
    return found


class _Clock:
    """Shares the seconds of the chunks out among the epochs: a chunk may hold a part of one, or several."""

    def __init__(self) -> None:
        self._carried = 0.0

    def share(self, rows: list[dict[str, float]], start: int, end: int, seconds: float) -> list[dict[str, float]]:
        """`rows` with their seconds, of a chunk that went from step `start` to `end`; the rest is carried over."""
        each = seconds / max(end - start, 1)
        for row in rows:
            row["seconds"] = round(self._carried + (row["step"] - start) * each, 6)
            self._carried, start = 0.0, int(row["step"])
        self._carried += (end - start) * each
        return rows


def diverged(step: int, plan: Plan) -> TrainingError:
    """The loss is not finite: says at which step, and what to try."""
    epoch = math.ceil(step / plan.steps_per_epoch)
    return TrainingError(
        f"the loss is not finite at step {step} (epoch {epoch})",
        hint=f"try a smaller rate (-s lr={plan.lr / 10:.6g}), or clip the gradient "
        "(-s optimizer.clipnorm=1), or check that the inputs are scaled (preprocess)",
    )
