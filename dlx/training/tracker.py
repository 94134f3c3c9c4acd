"""What is counted, and what is kept, while a training runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from dlx.engine.plan import Program, Progress, State
from dlx.runs.run import Run
from dlx.system.files import disk
from dlx.training import checkpoints
from dlx.training.experiment import Experiment
from dlx.training.outcome import Start
from dlx.training.rows import RowWriter
from dlx.training.tensorboard import TensorBoard

KEEP_COST, KEEP_SECONDS = 50, 60.0
ENOUGH = 0.2  # of the steps
MOST_SECONDS = 100 * 365 * 86400.0


class Tracker:
    """Counts what the final figures need.

    The first chunk, which compiles, is left out of the rate; so are those that end an epoch and validate, where the
    others are enough to go by.
    """

    def __init__(self, experiment: Experiment, start: Start | None = None) -> None:
        self._experiment = experiment
        record: Mapping[str, Any] = start.info if start is not None else {}
        self.step, self.epochs, self.best_epoch = (int(record.get(key, 0)) for key in ("step", "epochs", "best_epoch"))
        self.seconds, self.carried = _seconds(record, "seconds"), _seconds(record, "carried")
        self._steady_seconds = _seconds(record, "steady_seconds")
        self._steady_steps = int(record.get("steady_steps", 0))
        self._inner_seconds, self._inner_steps = _seconds(record, "inner_seconds"), int(record.get("inner_steps", 0))
        self._before = _seconds(record, "total_seconds")
        self._compiled = False
        self.last: Mapping[str, Any] = start.rows[-1] if start is not None and start.rows else {}

    def add(self, progress: Progress) -> None:
        if self._compiled:
            self._steady_seconds += progress.seconds
            self._steady_steps += progress.step - self.step
            if not progress.rows:
                self._inner_seconds += progress.seconds
                self._inner_steps += progress.step - self.step
        self._compiled, self.carried = True, progress.carried
        self.step, self.epochs = progress.step, progress.epochs
        self.seconds += progress.seconds
        self.best_epoch = progress.best_epoch or 0
        if progress.rows:
            self.last = progress.rows[-1]

    @property
    def total_seconds(self) -> float:
        """Since the command was typed, and in all that were stopped before."""
        return self._before + time.monotonic() - self._experiment.begun

    def examples_per_second(self) -> float:
        steps, seconds = (self._steady_steps, self._steady_seconds) if self._steady_steps else (self.step, self.seconds)
        if self._inner_steps > ENOUGH * steps:
            steps, seconds = self._inner_steps, self._inner_seconds
        share = len(self._experiment.splits.train) / self._experiment.steps_per_epoch
        return steps * share / max(seconds, 1e-9)

    def info(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {
            "units": True,  # figures of values are in units of their deviation: see Plan.units
            "step": self.step,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
            "carried": self.carried,
            "steady_seconds": self._steady_seconds,
            "steady_steps": self._steady_steps,
            "inner_seconds": self._inner_seconds,
            "inner_steps": self._inner_steps,
            "total_seconds": self.total_seconds,
        }


def _seconds(record: Mapping[str, Any], key: str) -> float:
    """Seconds that a checkpoint counted; 0 for what cannot be true: a clock that was set back is no reason to stop."""
    value = record.get(key, 0.0)
    return float(value) if type(value) in (int, float) and 0 <= value < MOST_SECONDS else 0.0


class CheckpointKeeper:
    """Keeps checkpoints: once fifty times what the last one cost has passed, and every 60 seconds at the latest."""

    def __init__(self, run: Run, board: TensorBoard, rows: RowWriter) -> None:
        self._run, self._board, self._rows = run, board, rows
        self._cost, self._last, self._step = 0.02, time.monotonic(), -1

    def due(self) -> bool:
        return time.monotonic() - self._last >= min(KEEP_COST * self._cost, KEEP_SECONDS)

    def commit(self, program: Program, state: State, tracker: Tracker) -> None:
        """Keep the state, all rows written, unless the last checkpoint is of the same step. Raises DiskError."""
        began = time.monotonic()
        self._rows.drain()
        if tracker.step == self._step:
            return
        with disk(self._run.path):
            mark = self._board.mark()
        info = {**tracker.info(), "cost": round(self._cost, 4), **self._run.marks(), "events": mark}
        checkpoints.commit(self._run.checkpoints, program.save(state), info)
        self._last, self._step = time.monotonic(), tracker.step
        self._cost = self._last - began
