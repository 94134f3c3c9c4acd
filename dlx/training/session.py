"""What a training is given, and what it holds while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.runs.history import Row
from dlx.runs.run import Run
from dlx.training.outcome import Observer
from dlx.training.program_cache import ProgramCache

if TYPE_CHECKING:
    from dlx.model.network import Network
    from dlx.system.signals import Stop
    from dlx.training.experiment import Experiment
    from dlx.training.rows import RowWriter
    from dlx.training.snapshots import Snapshots
    from dlx.training.tensorboard import TensorBoard
    from dlx.training.tracker import CheckpointKeeper, Tracker


@dataclass(frozen=True, eq=False)
class Options:
    """How a training is conducted; no figure depends on it.

    command: as typed, for run.json. parent: the sweep or the run that it comes from. deadline: a moment of
    time.monotonic() at which to stop politely. chunk_steps: a fixed length of the chunks. cache: what compiled the
    training before. trial: what a sweep records of it in run.json. judged: after these epochs `judge` hears the rows
    that are new; a text that it returns ends the training as pruned, and says why. home: where the run's
    directory will lie, if that is elsewhere: it has the same number, and its paths are relative to that.
    """

    command: Sequence[str] = ()
    observer: Observer = field(default_factory=Observer)
    parent: str | None = None
    deadline: float | None = None
    chunk_steps: int | None = None
    cache: ProgramCache = field(default_factory=lambda: ProgramCache())
    trial: Mapping[str, Any] | None = None
    judged: tuple[int, ...] = ()
    judge: Callable[[Sequence[Row]], str] | None = None
    home: Path | None = None


@dataclass(frozen=True, eq=False)
class Ready:
    """An experiment with its network and optimizer built, and remarks on where its weights begin."""

    experiment: Experiment
    network: Network
    optimizer: Any
    notes: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Session:
    """A training under way: its run, what it writes, counts and keeps, who watches, and what may stop it."""

    run: Run
    board: TensorBoard
    tracker: Tracker
    keeper: CheckpointKeeper
    snapshots: Snapshots
    rows: RowWriter
    observer: Observer
    stop: Stop
