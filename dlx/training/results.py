"""What a training leaves at its end: the model, the final figures, predictions and pictures."""

from __future__ import annotations

from typing import Any

from dlx.engine.plan import Program, State
from dlx.errors import DiskError
from dlx.inference.evaluate import evaluate
from dlx.inference.forward import class_probabilities
from dlx.model.network import parameter_count
from dlx.model.statistics import for_raw_inputs
from dlx.plots import style
from dlx.plots.curves import curves
from dlx.plots.pictures import pictures_of
from dlx.plots.subject import Subject
from dlx.system.files import disk
from dlx.training import checkpoints
from dlx.training.outcome import Outcome
from dlx.training.session import Ready, Session


def leave(ready: Ready, session: Session, program: Program, state: State, outcome: Outcome) -> None:
    """Save the best weights; of a training that came to its end also the figures, metrics.json last of all."""
    run, done = session.run, outcome.status == "done"
    if session.tracker.best_epoch or done:
        program.restore_best(state)
        scaling = ready.experiment.dataset.scaling
        with run.replacing("model.keras") as path, for_raw_inputs(ready.network, scaling):
            ready.network.model.save(path)
    if done:
        outcome.metrics = _final_figures(ready, session)
        if ready.experiment.spec.plots:
            with disk(run.path):
                _draw(ready, session)
        run.log("done")
    with disk(run.path):
        session.board.ended(done)
        if done:
            checkpoints.prune(run.checkpoints, 1)
    if done:
        run.finish(outcome.metrics)


def _draw(ready: Ready, session: Session) -> None:
    """The run's pictures, into TensorBoard's Images tab; one that cannot be drawn is logged and costs nothing else."""
    run, tracker, experiment = session.run, session.tracker, ready.experiment
    best = tracker.best_epoch or None
    subject = Subject(run.name, ready.network, experiment.dataset, experiment.splits, run.history(), best)
    for name, draw in {"curves": curves, **pictures_of(subject)}.items():
        try:
            session.board.image(name, *style.png(draw(subject)), int(tracker.last["epoch"]))
        except (OSError, DiskError):
            raise
        except Exception as error:  # a finished training is worth more than its pictures
            run.log(f"no picture of {name}: {type(error).__name__}: {error}")


def _final_figures(ready: Ready, session: Session) -> dict[str, Any]:
    """The final figures: train ones of the last epoch, the others from the best weights; saves the predictions."""
    import numpy as np

    experiment, tracker, splits = ready.experiment, session.tracker, ready.experiment.splits
    figures: dict[str, Any] = {key: value for key, value in tracker.last.items() if key.startswith("train_")}
    size = min(max(experiment.batch_size, 128), 4096)
    evaluated: tuple[Any, Any] | None = None
    for name, split in (("val", splits.validation), ("test", splits.test)):
        if split is None:
            continue
        if name == "test" and splits.test_is_validation and evaluated is not None:
            figures |= {f"test_{k.removeprefix('val_')}": v for k, v in figures.items() if k.startswith("val_")}
            continue
        result, predictions = evaluate(ready.network, split, size)
        figures |= {f"{name}_{key}": value for key, value in result.items()}
        evaluated = (split, predictions)
    if evaluated is not None:
        split, predictions = evaluated
        values = class_probabilities(predictions, experiment.dataset.task)
        with session.run.replacing("predictions.npz") as path:
            np.savez(path, index=split.index, label=split.targets, prediction=values)
    figures |= {
        "best_epoch": tracker.best_epoch or None,
        "epochs": int(tracker.last["epoch"]),
        "steps": tracker.step,
        "parameters": parameter_count(ready.network),
        "train_seconds": round(tracker.seconds, 3),
        "examples_per_second": round(tracker.examples_per_second(), 1),
        "total_seconds": round(tracker.total_seconds, 3),
    }
    if splits.test_is_validation:
        figures["test_is_validation"] = True
    return figures
