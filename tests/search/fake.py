"""A place that trains nothing: each run's figures are a function of its spec, so that a thousand trials take no time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlx import spec as specs
from dlx.runs.run import Run
from dlx.search.setup import study_of
from dlx.search.study import Study, Task
from dlx.search.sweep import Result, sweep
from dlx.spec.sections import Spec, flat, resolved

Figure = Callable[[Spec, int], float]  # a spec and an epoch -> val_loss


class Fake:
    """Ends what was submitted at once, in its order; `stop_after` trainings it is as if a signal had come."""

    def __init__(self, study: Study, figure: Figure, slots: int = 1, stop_after: int | None = None) -> None:
        self.slots, self._study, self._figure, self._left = slots, study, figure, stop_after
        self._tasks: list[Task] = []
        self.trained: list[Task] = []

    def submit(self, task: Task) -> None:
        self._tasks.append(task)

    def close(self) -> None: ...

    def ended(self) -> list[tuple[Task, Result]]:
        task = self._tasks.pop(0)
        if self._left == 0:
            return [(task, Result("interrupted", stop="SIGINT"))]
        if self._left is not None:
            self._left -= 1
        self.trained.append(task)
        return [(task, self._train(task))]

    def _train(self, task: Task) -> Result:
        epochs = int(task.spec.epochs or 1)
        begun = task.entry if task.promoted else None
        run = Run(begun.path) if begun is not None else Run.create(self._study.root, task.spec.name)
        first = len(run.history())
        if begun is not None:
            run.take_up()
            (run.path / "failure.json").unlink()
        else:
            base = str(run.path.resolve())
            record = {"settings": flat(resolved(task.spec, base)), "monitor": "val_loss", "scaling": {}, "code": {}}
            run.begin("", {**record, "trial": self._study.record(task)})
        for epoch in range(first + 1, epochs + 1):
            value = self._figure(task.spec, epoch)
            row = {"epoch": epoch, "step": epoch, "val_loss": value, "train_loss": value, "seconds": 0.1}
            run.epochs.append([row])
            why = self._study.judge(task, [row]) if epoch in self._study.judged() else ""
            if why:
                run.fail("pruned", why)
                return Result("pruned", run, why=why)
        metrics: dict[str, Any] = {"val_loss": value, "parameters": 10, "train_seconds": 1.0, "epochs": epochs}
        run.finish(metrics)
        return Result("done", run)


def studied(source: Any, root: Path, *overrides: str, **search: Any) -> Study:
    """The study of a spec below a runs folder, as a command would make it."""
    study = study_of(specs.space_of(source, overrides, search), root, lambda trial: trial)
    study.measure = measured
    return study


def measured(spec: Spec) -> int:
    """As many parameters as dense layers have units."""
    return sum(int(part.args["units"]) for part in spec.layers if part.name == "dense")


def searched(study: Study, figure: Figure, **place: Any) -> Fake:
    """The place, after the study has asked all that it has to ask."""
    fake = Fake(study, figure, **place)
    with study.held():
        sweep(study, fake, lambda task, result: None)
    return fake
