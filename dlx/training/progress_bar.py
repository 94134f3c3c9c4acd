"""A training as it goes on: a line an epoch stays on the screen, under them a bar moves."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlx.runs.metrics import better, figure_text, is_number, is_share
from dlx.system import terminal
from dlx.system.units import duration

if TYPE_CHECKING:
    from dlx.engine.plan import Progress
    from dlx.training.experiment import Experiment

Row = Mapping[str, Any]
BESIDE = 27  # columns that a bar needs beside its words: ten of its own, the share, the time left


class Best:
    """The best epoch so far, by what a training monitors."""

    def __init__(self, monitor: str, rows: Sequence[Row] = ()) -> None:
        self._monitor = monitor
        self.row: Row = {}
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> bool:
        """Whether an epoch is better than all before it; one without a finite figure is not."""
        value: Any = row.get(self._monitor)
        if not is_number(value) or not better(self._monitor, value, self.row.get(self._monitor)):
            return False
        self.row = row
        return True


class TrainingBar:
    """The bar of one training on standard error, from its compiling on.

    before: the epochs of a training that continues. head: what the bar begins with. lines: whether epochs leave a line
    each, of many about twenty; the best so far has a *.
    """

    def __init__(self, experiment: Experiment, before: Sequence[Row] = (), head: str = "", lines: bool = True) -> None:
        self._experiment, self._head, self._lines = experiment, head, lines
        self._bar = terminal.Bar(experiment.steps, "steps")
        self._last: Row = {}
        self._best = Best(experiment.monitor, before)
        self._began, self._first_step, self._shown = 0.0, 0, time.monotonic()

    def open(self) -> TrainingBar:
        self._bar.__enter__()
        self._bar.wait("  ".join(word for word in (self._head, "compiling") if word))
        return self

    def close(self) -> None:
        self._bar.__exit__()

    def progressed(self, progress: Progress) -> None:
        """What a chunk of steps has brought."""
        experiment = self._experiment
        if not self._first_step:  # the first chunk compiles: it is left out of the rate
            self._began, self._first_step = time.monotonic(), progress.step
        scheduled = experiment.spec.schedule.name != "constant"
        for row in progress.rows:
            self._last, best = row, self._best.add(row)
            if self._lines:
                self._shown = time.monotonic()
                self._bar.line(int(row["step"]), epoch_line(row, experiment.epochs, best, scheduled))
        if sys.stderr.isatty():
            self._bar.update(progress.step, self._words(progress, terminal.width() - BESIDE))
        elif time.monotonic() - self._shown >= terminal.QUIET_SECONDS:
            words = f"{self._words(progress, terminal.width() - 6)}  {100 * progress.step / experiment.steps:.0f} %"
            self._bar.update(progress.step, line=words)
            self._shown = time.monotonic()

    def _words(self, progress: Progress, room: int) -> str:
        """Which epoch it is, and of the rest what the room holds: the losses, the best so far, the rate."""
        experiment, monitor = self._experiment, self._experiment.monitor
        epoch = min(progress.step // experiment.steps_per_epoch + 1, experiment.epochs)
        head = [*([self._head] if self._head else []), f"epoch {epoch}/{experiment.epochs}"]
        figures = {k.removeprefix("train_"): self._last[k] for k in ("train_loss", "val_loss") if k in self._last}
        losses = [f"{name} {value:.3g}" for name, value in figures.items() if isinstance(value, float)]
        row = self._best.row
        best = [f"best {figure_text(monitor, row[monitor])}"] if row else []
        named = [f"best {monitor} {figure_text(monitor, row[monitor])} ({row['epoch']})"] if row else []
        rate = [self._rate(progress)]
        choices = ([*losses, *named, *rate], [*losses, *named], [*losses, *best], best)
        lines = ["  ".join(word for word in [*head, *words] if word) for words in choices]
        return next((line for line in lines if len(line) <= room), "  ".join(head))

    def _rate(self, progress: Progress) -> str:
        steps, seconds = progress.step - self._first_step, time.monotonic() - self._began
        if not steps:
            return ""
        examples = steps * len(self._experiment.splits.train) / self._experiment.steps_per_epoch
        return f"{examples / seconds:,.0f} examples/s"


def epoch_line(row: Row, epochs: int, best: bool, scheduled: bool = False) -> str:
    """An epoch in Keras's words: loss is the training's, val_loss the validation's; with a * the best so far.

    As much of it as the width holds: the figures, their digits, the learning rate of a schedule, the seconds.
    """
    head = f"epoch {int(row['epoch']):>{len(str(epochs))}}/{epochs}{'*' if best else ' '}"
    lines = (f"{head} {line}" for line in _figures(row, scheduled))
    return next((line for line in lines if len(line) <= terminal.width()), head)


def _figures(row: Row, scheduled: bool) -> Iterator[str]:
    """The figures of an epoch, in words that become fewer: the train split's metrics give way before its loss."""
    figures = {k.removeprefix("train_"): v for k, v in row.items() if k.startswith(("train_", "val_"))}
    fewer = {k: v for k, v in figures.items() if k == "loss" or k.startswith("val_")}
    seconds = [duration(row["seconds"])] if isinstance(row.get("seconds"), (int, float)) else []
    rate = [f"lr {row['learning_rate']:.3g}"] if scheduled and "learning_rate" in row else []
    for shown, digits, more in (
        (figures, 4, [*rate, *seconds]), (figures, 4, rate), (figures, 3, rate), (figures, 4, []), (figures, 3, []),
        (fewer, 4, rate), (fewer, 4, []), (fewer, 3, []), (fewer, 2, []),
        ({k: v for k, v in fewer.items() if k == "loss"}, 4, []),
    ):  # fmt: skip
        words = [f"{name} {_written(name, value, digits)}" for name, value in shown.items()]
        yield "  ".join([*words, *more])


def _written(name: str, value: float | None, digits: int) -> str:
    """A figure in so many digits after the point; of a share, which is in per cent, two fewer."""
    if value is None:
        return "nan"
    return f"{100 * value:.{digits - 2}f} %" if is_share(name) else f"{value:.{digits}f}"
