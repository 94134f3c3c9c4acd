"""The loop of a sweep: a study says what to train next, a place trains it.

A place is all that knows where: this process (`local`), others beside it (`workers`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dlx.errors import DlxError
from dlx.runs.run import Run
from dlx.search.study import Study, Task
from dlx.system import signals


@dataclass
class Result:
    """How a trial ended: its run, if there is one, and what was wrong. `fresh`: it was trained, not finished before."""

    status: str
    run: Run | None = None
    error: DlxError | None = None
    stop: str = ""
    fresh: bool = True
    why: str = ""

    @property
    def exit_code(self) -> int:
        if self.stop and self.status != "done":
            return signals.code(self.stop)
        return self.error.exit_code if self.error else 0


class Place(Protocol):
    """Where trainings run."""

    @property
    def slots(self) -> int:
        """How many trainings at once, by now."""

    def submit(self, task: Task) -> None:
        """Begin a training."""

    def ended(self) -> list[tuple[Task, Result]]:
        """The trainings that have ended; waits until there is one."""

    def close(self) -> None:
        """Nothing more is to be trained."""


def sweep(study: Study, place: Place, report: Callable[[Task, Result], None]) -> list[Result]:
    """Train what the study asks for; a failed trial is reported and the rest continue, a stop ends it.

    Raises DlxError where no further trial can be drawn, once those that run have ended.
    """
    results: list[Result] = []
    running, stopped, problem = 0, False, None
    while True:
        while not stopped and problem is None and not study.hopeless and running < place.slots:
            try:
                task = study.next()
            except DlxError as error:  # what runs comes to its end first
                problem = error
                break
            if task is None:
                break
            place.submit(task)
            running += 1
        if not running:
            if problem is not None:
                raise problem
            return results
        for task, result in place.ended():
            running -= 1
            stopped = stopped or bool(result.stop)
            status = "interrupted" if result.status == "not begun" else result.status
            study.finish(task, status, result.run, result.error)
            results.append(result)
            report(task, result)
