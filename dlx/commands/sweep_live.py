"""What a terminal shows while a search runs: the best five, what runs, what became of the others, the time left."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from dlx.commands.search_screen import counted, text
from dlx.runs.metrics import setting_text
from dlx.search.study import Study, Task
from dlx.system import terminal
from dlx.system.units import duration

BEST, RUNNING = 5, 4  # lines of each


class SweepLive:
    """Lines at the foot of a terminal that move; nothing where there is none."""

    def __init__(self, study: Study) -> None:
        self._study, self._live = study, None  # type: Study, Any
        self._began, self._ended = time.monotonic(), 0
        self._running: dict[tuple[int, int], str] = {}

    def __enter__(self) -> SweepLive:
        self._start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop()

    def _start(self) -> None:
        if not sys.stderr.isatty():
            return
        from rich.live import Live

        self._live = Live(
            get_renderable=self.lines, console=terminal.moving(), transient=True, refresh_per_second=2,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Within it the lines are away, so that others can be printed that stay."""
        shown = self._live is not None
        self._stop()
        try:
            yield
        finally:
            if shown:
                self._start()

    def goes(self, task: Task, words: str = "") -> None:
        """A training has come so far."""
        self._running[task.number, task.repeat] = words

    def ends(self, task: Task) -> None:
        """A training has ended."""
        self._running.pop((task.number, task.repeat), None)
        self._ended += 1

    def lines(self) -> Any:
        """What is shown now."""
        from rich.text import Text

        study, width = self._study, terminal.width()
        shown = [terminal.shortened(counted(study) + self.left(), width)]
        for one in study.ranked()[:BEST]:
            name = one.runs[0].name if one.runs else str(one.number)
            figures = " ".join(text(n, f) for n, f in zip(study.objectives, one.figures or (), strict=True))
            shown.append(terminal.shortened(f"  {name}  {figures}  {chosen(one.values)}", width))
        running = list(self._running.items())
        for (number, _), words in running[:RUNNING]:
            values = chosen(study.observation(number).values)
            shown.append(terminal.shortened(f"  {number} {words or 'begins'}  {values}", width))
        if len(running) > RUNNING:
            shown.append(f"  and {len(running) - RUNNING} more")
        return Text("\n".join(map(terminal.clean, shown)), style=terminal.SECONDARY)

    def left(self) -> str:
        """The time left, from what the trials so far took."""
        ahead = (self._study.search.trials or len(self._study.fixed)) * self._study.search.repeats
        ahead -= sum(status in ("done", "pruned", "failed") for status in list(self._study.tasks.values()))
        if not self._ended or ahead <= 0:
            return ""
        return f"; about {duration((time.monotonic() - self._began) / self._ended * ahead)} left"


def chosen(values: Mapping[str, Any]) -> str:
    """What a trial chose, in a line."""
    return " ".join(f"{name}={setting_text(value)}" for name, value in values.items())
