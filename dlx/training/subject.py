"""A run's network and its data, loaded again to be drawn."""

from __future__ import annotations

from collections.abc import Sequence

from dlx.errors import DataError
from dlx.inference.predictor import load_predictor
from dlx.plots.history import Curve
from dlx.plots.subject import Subject
from dlx.runs.compare import Row, fold
from dlx.runs.diff import row_labels
from dlx.runs.run import Run
from dlx.runs.summary import read
from dlx.training.experiment import prepared_again


def subject_of(run: Run, name: str) -> tuple[Subject, bool]:
    """(the Subject of a run, called `name` in titles; whether its data is still what it was trained on).

    Raises RunError or DataError where the run, or its data, cannot be loaded.
    """
    predictor = load_predictor(run)
    try:
        experiment, changed = prepared_again(run)
    except DataError as error:
        raise DataError(f"its data cannot be loaded: {error.message}", where=run.name, hint=error.hint) from error
    curve = curve_of(run, name)
    subject = Subject(name, predictor.network, experiment.dataset, experiment.splits, curve, kept_epoch(run))
    return subject, not changed


def curve_of(run: Run, label: str, best: int | None = None) -> Curve:
    """The curves of a run, called `label` beside others. best: its best epoch, where it has no metrics.json yet."""
    info = run.info()
    settings, classified = info["settings"], info.get("task") == "classification"
    encoding = (info.get("input") or {}).get("encoding") or {}
    rows = run.history()
    return Curve(
        label,
        rows,
        best or best_epoch(run),
        run.steps.rows(),
        classes=len(info.get("classes") or ()) if classified else 0,
        entropy=classified and str(settings.get("loss")) in ("auto", "categorical_crossentropy", "binary_crossentropy"),
        unit=str(encoding["label"]) if isinstance(encoding.get("label"), str) else "",
        data=str((info.get("dataset") or {}).get("fingerprint") or ""),
        guess=_as_share((info.get("dataset") or {}).get("most_frequent")),
        monitor=str(info.get("monitor") or ""),
        kept_epoch=int(rows[-1].get("epoch", 0)) if settings.get("keep") == "last" and rows else None,
    )


def _as_share(value: object) -> float:
    return float(value) if isinstance(value, float) and 0 < value < 1 else 0.0


ALONE = 3  # repetitions of a setting that are a line each


def curves_of(runs: Sequence[Run]) -> tuple[list[Curve], str]:
    """(the curves of the runs, each under what tells it from the others; the title of their picture).

    Of more than three runs those that repeat a setting have one label.
    """
    entries = [read(run.path) for run in runs]
    rows = fold(entries)
    if len(entries) <= ALONE or len(rows) == len(entries):
        rows = [Row([entry]) for entry in entries]
    labels = row_labels(rows) if len(rows) > 1 else [rows[0].name]
    named = {entry.path: label for row, label in zip(rows, labels, strict=True) for entry in row.entries}
    title = str(rows[0].first.settings.get("name", "")) if len(entries) > 1 else entries[0].name
    return [curve_of(run, named[run.path]) for run in runs], title if len(rows) == 1 else ""


def best_epoch(run: Run) -> int | None:
    """The epoch with the best monitored figure; None where there is none."""
    epoch = (run.metrics() or {}).get("best_epoch")
    return epoch if isinstance(epoch, int) else None


def kept_epoch(run: Run) -> int | None:
    """The epoch whose weights the run keeps, where it is not the last one by the spec's own wish."""
    return None if run.info()["settings"].get("keep") == "last" else best_epoch(run)
