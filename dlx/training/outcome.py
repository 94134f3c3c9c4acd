"""How a training ends, where it starts from, and who watches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlx.errors import DlxError
from dlx.runs.history import Row
from dlx.runs.run import Run
from dlx.system import signals

if TYPE_CHECKING:
    import numpy as np

    from dlx.engine.plan import Progress
    from dlx.model.network import Network
    from dlx.training.experiment import Experiment


@dataclass
class Outcome:
    """How a run ended: its status, its figures, the error if there was one, and what stopped or pruned it.

    examples: predictions beside the truth, a line each, of a dataset that says how its examples are read.
    out_of_fold: of a run that validates on a fold, that fold's row numbers, targets and predictions.
    """

    run: Run
    status: str
    metrics: dict[str, Any] = field(default_factory=dict)
    error: DlxError | None = None
    stop: str = ""
    pruned: str = ""
    examples: list[str] = field(default_factory=list)
    out_of_fold: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    @property
    def exit_code(self) -> int:
        if self.status in ("interrupted", "away") and self.stop:
            return signals.code(self.stop)
        return self.error.exit_code if self.error else 0


@dataclass(frozen=True, eq=False)
class Start:
    """Where a training continues: the arrays and the record of a checkpoint, and the history up to it.

    rows, logged: those of the epochs, and those of `log_every`. forced: what decides the figures and
    differs from before.
    """

    arrays: Mapping[str, np.ndarray]
    info: Mapping[str, Any]
    rows: Sequence[Row]
    logged: Sequence[Row] = ()
    forced: Sequence[str] = ()

    @property
    def step(self) -> int:
        return int(self.info["step"])


class Observer:
    """What a training reports while it runs; every method may be overridden."""

    def started(self, run: Run, experiment: Experiment, device: str, network: Network) -> None: ...
    def noted(self, line: str) -> None: ...
    def progressed(self, experiment: Experiment, progress: Progress) -> None: ...
    def ended(self, experiment: Experiment, outcome: Outcome) -> None: ...


class GuardedObserver(Observer):
    """An Observer whose terminal or pipe may go away: the training continues without it."""

    def __init__(self, observer: Observer) -> None:
        self._observer, self._gone = observer, False

    def _report(self, method: str, *arguments: Any) -> None:
        if self._gone:
            return
        try:
            getattr(self._observer, method)(*arguments)
        except (OSError, SystemExit):  # rich ends the process when a pipe breaks
            self._gone = True

    def started(self, run: Run, experiment: Experiment, device: str, network: Network) -> None:
        self._report("started", run, experiment, device, network)

    def noted(self, line: str) -> None:
        self._report("noted", line)

    def progressed(self, experiment: Experiment, progress: Progress) -> None:
        self._report("progressed", experiment, progress)

    def ended(self, experiment: Experiment, outcome: Outcome) -> None:
        self._report("ended", experiment, outcome)
