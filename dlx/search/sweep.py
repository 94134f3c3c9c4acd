"""The loop of a sweep: trials, one after another, at a place.

What to try next (`trials`, any iterable) and where it runs (`Here`, a trial to a result) are all that it knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dlx.errors import DlxError
from dlx.runs.run import Run
from dlx.spec.space import Trial
from dlx.system import signals


@dataclass
class Result:
    """How a trial ended: its run, if there is one, and what was wrong. `fresh`: it was trained, not finished before."""

    status: str
    run: Run | None = None
    error: DlxError | None = None
    stop: str = ""
    fresh: bool = True

    @property
    def exit_code(self) -> int:
        if self.stop and self.status != "done":
            return signals.code(self.stop)
        return self.error.exit_code if self.error else 0


def sweep(
    trials: Iterable[Trial], place: Callable[[Trial], Result], report: Callable[[Trial, Result], None]
) -> list[Result]:
    """Run the trials at a place, in their order; a failed one is reported and the rest continue, a stop ends it."""
    results = []
    for trial in trials:
        results.append(place(trial))
        report(trial, results[-1])
        if results[-1].stop:
            break
    return results
