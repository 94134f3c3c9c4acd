"""What a training leaves at its end: the model, the final figures, predictions and pictures."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from dlx.data.cuts import fold_of
from dlx.engine.plan import Program, State
from dlx.errors import DiskError, DlxError
from dlx.export import conversion, keep
from dlx.export.subject import Examples
from dlx.inference.evaluate import batch_of, evaluate
from dlx.inference.forward import class_probabilities
from dlx.inference.own_data import examples
from dlx.model.network import parameter_count
from dlx.model.statistics import for_raw_inputs
from dlx.plots import style
from dlx.plots.curves import curves
from dlx.plots.pictures import pictures_of
from dlx.plots.subject import Subject
from dlx.system.files import disk, sha256
from dlx.training import checkpoints
from dlx.training.hparams import final, result_text
from dlx.training.outcome import Outcome
from dlx.training.session import Ready, Session
from dlx.training.subject import curve_of

SHARE = 0.1  # of a training's time that a model.onnx at its end may take


def leave(ready: Ready, session: Session, program: Program, state: State, outcome: Outcome) -> None:
    """Save the best weights; of a training that came to its end also the figures, metrics.json last of all.

    What cannot be written costs nothing of the rest. Where the disk has no room for the model or the predictions, the
    run is failed, with its figures in failure.json, and its checkpoint lets it end when there is room.
    """
    run, done = session.run, outcome.status == "done"
    problems = [outcome.error] if isinstance(outcome.error, DiskError) else []
    if done or (session.tracker.best_epoch and outcome.status != "pruned"):
        failed = outcome.status == "failed"  # its last weights are those that failed
        program.restore(state, "best" if failed else ready.experiment.spec.keep)
        with _remembered(session, "model.keras", problems):
            _save_model(ready, session)
    if done:
        outcome.metrics, answered = _final_figures(ready, session)
        predictions = next(reversed(answered.values()), None)
        if "val" in answered and fold_of(ready.experiment.spec.validation):
            split, values = answered["val"]
            outcome.out_of_fold = split.index, split.targets, class_probabilities(values, ready.experiment.dataset.task)
        named = {"test": None, **ready.experiment.splits.named()}
        outcome.examples = examples(
            ready.network,
            ready.experiment.dataset,
            [(name, split) for name, split in named.items() if split is not None],
        )
        with _remembered(session, "predictions.npz", problems):
            _save_predictions(ready, session, predictions)
        if ready.experiment.spec.plots:
            with _remembered(session, "its pictures"):
                _draw(ready, session)
        if conversion.possible() and session.tracker.seconds * SHARE >= keep.seconds(ready.network):
            with _remembered(session, "model.onnx"):
                _save_onnx(ready, session)
    with _remembered(session, "TensorBoard's files"):
        if done:
            session.board.result(final(outcome.metrics), result_text(outcome.metrics), session.tracker.epochs)
        session.board.ended(done and not problems)
    if problems:
        raise problems[0]
    if done:
        run.log("done")
        with disk(run.path):
            checkpoints.prune(run.checkpoints, 1)
        run.finish(outcome.metrics)


@contextlib.contextmanager
def _remembered(session: Session, what: str, problems: list[DiskError] | None = None) -> Iterator[None]:
    """What goes wrong in the block is noted, and a problem of the disk added to `problems`; the rest continues."""
    try:
        with disk(session.run.path):
            yield
    except Exception as error:  # Keras, matplotlib, and with python -W error every warning of theirs
        reason = error.message if isinstance(error, DlxError) else f"{type(error).__name__}: {error}"
        line = f"{what} cannot be written: {' '.join(reason.split())[:300]}"
        session.observer.noted(line)
        with contextlib.suppress(DlxError):
            session.run.log(line)
        if isinstance(error, DiskError) and problems is not None:
            problems.append(error)


def _save_model(ready: Ready, session: Session) -> None:
    """Write model.keras, which takes inputs as they are in the data."""
    scaling = ready.experiment.dataset.input_scaling
    with (
        session.run.replacing("model.keras") as path,
        for_raw_inputs(ready.network, scaling),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # Keras's own use of what NumPy and Python have deprecated
        ready.network.model.save(path)


def _save_onnx(ready: Ready, session: Session) -> None:
    """Write model.onnx, checked on examples of the data; what goes wrong is a line of the log."""
    import numpy as np

    splits, scaling = ready.experiment.splits, ready.experiment.dataset.input_scaling
    name, split = next(reversed(splits.named().items()))
    rows = np.asarray(split.inputs[: conversion.ROWS])
    examples = Examples(name, rows if scaling is None else scaling.undo(rows))
    digest = sha256(session.run.model_file)
    if problem := keep.remember(session.run, ready.network, examples, digest):
        with contextlib.suppress(DlxError):
            session.run.log(f"no model.onnx: {problem}")


def _save_predictions(ready: Ready, session: Session, predictions: tuple[Any, Any] | None) -> None:
    """Write predictions.npz: (split, predictions) of test, or of validation where there is no test."""
    import numpy as np

    if predictions is None:
        return
    split, values = predictions
    shown = class_probabilities(values, ready.experiment.dataset.task)
    with session.run.replacing("predictions.npz") as path:
        np.savez(path, index=split.index, label=split.targets, prediction=shown)


def _draw(ready: Ready, session: Session) -> None:
    """The run's pictures, into TensorBoard's Images tab; one that cannot be drawn is logged and costs nothing else."""
    run, tracker, experiment = session.run, session.tracker, ready.experiment
    curve, kept = curve_of(run, run.name, tracker.best_epoch), _kept_epoch(ready, session)
    subject = Subject(run.name, ready.network, experiment.dataset, experiment.splits, curve, kept)
    drawn = {**({"curves": curves} if curve.rows else {}), **pictures_of(subject)}
    drawn.pop("overview")  # its parts are there, and larger
    for name, draw in drawn.items():
        try:
            with style.on_card():
                session.board.image(name, *style.png(draw(subject)), tracker.epochs)
        except Exception as error:  # a finished training is worth more than its pictures
            run.log(f"no picture of {name}: {type(error).__name__}: {error}")


def _kept_epoch(ready: Ready, session: Session) -> int:
    """The epoch whose weights the run keeps; 0 for those of before the training."""
    tracker = session.tracker
    return tracker.epochs if ready.experiment.spec.keep == "last" else tracker.best_epoch


def _final_figures(ready: Ready, session: Session) -> tuple[dict[str, Any], dict[str, tuple[Any, Any]]]:
    """(the final figures, those of the train split of the last epoch; (split, predictions) of the others by name)"""
    experiment, tracker, splits = ready.experiment, session.tracker, ready.experiment.splits
    figures: dict[str, Any] = {key: value for key, value in tracker.last.items() if key.startswith("train_")}
    size = batch_of(experiment.batch_size, len(splits.train))
    answered: dict[str, tuple[Any, Any]] = {}
    for name, split in (("val", splits.validation), ("test", splits.test)):
        if split is None:
            continue
        if name == "test" and splits.test_is_validation and answered:
            figures |= {f"test_{k.removeprefix('val_')}": v for k, v in figures.items() if k.startswith("val_")}
            continue
        result, predictions, _ = evaluate(ready.network, experiment.dataset, split, size)
        figures |= {f"{name}_{key}": value for key, value in result.items()}
        answered[name] = (split, predictions)
    if splits.test_is_validation or _kept_epoch(ready, session) != tracker.epochs:
        figures |= {f"last_{key}": value for key, value in tracker.last.items() if key.startswith("val_")}
    figures |= {
        "best_epoch": None if tracker.epochs and not tracker.best_epoch else tracker.best_epoch,
        "epochs": tracker.epochs,
        "steps": tracker.step,
        "parameters": parameter_count(ready.network),
        "train_seconds": round(tracker.seconds, 3),
        "examples_per_second": round(tracker.examples_per_second(), 1),
        "total_seconds": round(tracker.total_seconds, 3),
    }
    if splits.test_is_validation:
        figures["test_is_validation"] = True
    return figures, answered
