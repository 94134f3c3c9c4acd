"""The progress of a training that Python started: in a notebook, in a terminal, or elsewhere."""

from __future__ import annotations

import html
import sys
from typing import TYPE_CHECKING, Any

from dlx.runs.metrics import figure_text
from dlx.runs.run import Run
from dlx.training.outcome import Observer, Outcome
from dlx.training.progress_bar import TrainingBar, epoch_line

if TYPE_CHECKING:
    from dlx.engine.plan import Progress
    from dlx.model.network import Network
    from dlx.training.experiment import Experiment


class Shown(Observer):
    """verbose: 1 a bar in a notebook or a terminal, a few lines elsewhere; 2 a line an epoch."""

    def __init__(self, verbose: int) -> None:
        self._verbose, self._name = verbose, ""
        self._bar: TrainingBar | None = None
        self._page: _Page | None = None

    def started(self, run: Run, experiment: Experiment, device: str, network: Network) -> None:
        self._name = run.name
        if self._verbose == 1 and in_notebook():
            self._page = _Page(run.name)
        elif self._verbose == 1:
            self._bar = TrainingBar(experiment, run.history()).open()

    def progressed(self, experiment: Experiment, progress: Progress) -> None:
        if self._bar is not None:
            self._bar.progressed(progress)
        if self._page is not None:
            self._page.show(progress.step / experiment.steps, progress.rows[-1:], experiment)
        if self._verbose > 1:
            for row in progress.rows:
                print(epoch_line(row, experiment.epochs, best=False), flush=True)

    def ended(self, experiment: Experiment, outcome: Outcome) -> None:
        if self._bar is not None:
            self._bar.close()
        value = outcome.metrics.get(experiment.monitor)
        figure = (
            f", {experiment.monitor} {figure_text(experiment.monitor, float(value))}"
            if isinstance(value, (int, float))
            else ""
        )
        if self._page is not None:
            self._page.end(f"{self._name}: {outcome.status}{figure}")
        else:
            print(f"{outcome.run.path}: {outcome.status}{figure}", flush=True)


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class _Page:
    """A bar in a notebook's output."""

    def __init__(self, name: str) -> None:
        from IPython.display import HTML, display

        self._name, self._html, self._line = name, HTML, ""
        self._handle = display(HTML(self._text(0.0, "compiling")), display_id=True)

    def show(self, share: float, rows: list[Any], experiment: Experiment) -> None:
        if rows:
            self._line = epoch_line(rows[0], experiment.epochs, best=False)
        self._handle.update(self._html(self._text(share, self._line)))

    def end(self, words: str) -> None:
        self._handle.update(self._html(self._text(1.0, words)))

    def _text(self, share: float, words: str) -> str:
        return f'<progress value="{share:.3f}" max="1"></progress> <code>{html.escape(words or self._name)}</code>'
