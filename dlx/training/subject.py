"""A run's network and its data, loaded again to be drawn."""

from __future__ import annotations

from dlx.errors import DataError
from dlx.inference.predictor import load_predictor
from dlx.plots.curves import Curve
from dlx.plots.subject import Subject
from dlx.runs.run import Run
from dlx.training.experiment import prepare, spec_of


def subject_of(run: Run, name: str) -> tuple[Subject, bool]:
    """(the Subject of a run, called `name` in titles; whether its data is still what it was trained on).

    Raises RunError or DataError where the run, or its data, cannot be loaded.
    """
    predictor = load_predictor(run)
    try:
        experiment = prepare(spec_of(run), recorded=run.info())
    except DataError as error:
        raise DataError(f"its data cannot be loaded: {error.message}", where=run.name, hint=error.hint) from error
    subject = Subject(name, predictor.network, experiment.dataset, experiment.splits, run.history(), kept_epoch(run))
    recorded = (run.info().get("dataset") or {}).get("fingerprint")
    return subject, recorded in (None, experiment.dataset.fingerprint)


def curve_of(run: Run, label: str) -> Curve:
    """The curves of a run, called `label` beside others."""
    info = run.info()
    settings, classified = info["settings"], info.get("task") == "classification"
    encoding = (info.get("input") or {}).get("encoding") or {}
    return Curve(
        label,
        run.history(),
        best_epoch(run),
        run.steps.rows(),
        classes=len(info.get("classes") or ()) if classified else 0,
        entropy=classified and str(settings.get("loss")) in ("auto", "categorical_crossentropy", "binary_crossentropy"),
        unit=str(encoding["label"]) if isinstance(encoding.get("label"), str) else "",
        monitor=str(info.get("monitor") or ""),
    )


def best_epoch(run: Run) -> int | None:
    """The epoch with the best monitored figure; None where there is none."""
    epoch = (run.metrics() or {}).get("best_epoch")
    return epoch if isinstance(epoch, int) else None


def kept_epoch(run: Run) -> int | None:
    """The epoch whose weights the run keeps, where it is not the last one by the spec's own wish."""
    return None if run.info()["settings"].get("keep") == "last" else best_epoch(run)
