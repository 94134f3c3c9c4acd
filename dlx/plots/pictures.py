"""Which pictures a run has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dlx.plots.boundary import boundaries
from dlx.plots.classification import confusion, mistakes, probabilities
from dlx.plots.diagram import kernels, network
from dlx.plots.layers import layers
from dlx.plots.network import activations, filters, first_kernel
from dlx.plots.overview import overview
from dlx.plots.regression import forecast, residuals
from dlx.plots.subject import Subject

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[Subject], "Figure"]


def pictures_of(subject: Subject) -> dict[str, Draw]:
    """The pictures that a subject has, by their names; curves are drawn from a history alone."""
    shape = subject.dataset.shape
    classes = subject.dataset.task == "classification" and subject.splits.train.targets.ndim == 1
    image = len(shape) == 3 and shape[-1] in (1, 3)
    pictures: dict[str, Draw] = {"overview": overview}
    if shape == (2,) and subject.dataset.task != "multi_label" and _one_target(subject):
        pictures["boundary"] = lambda subject: boundaries([subject])
    if classes and len(subject.classes) <= 200:
        pictures["confusion"] = confusion
    if classes and len(subject.classes) == 2:
        pictures["probabilities"] = probabilities
    if subject.dataset.task == "regression":
        pictures["residuals"] = residuals
    if subject.dataset.kind == "series":
        pictures["forecast"] = forecast
    if classes and image:
        pictures["mistakes"] = mistakes
    if image and first_kernel(subject) is not None:
        pictures["filters"] = filters
    if image:
        pictures["activations"] = activations
    if kernels(subject) is not None:
        pictures["network"] = network
    pictures["layers"] = layers
    pictures["layers"] = layers
    return pictures


def largest(subject: Subject, kind: str) -> float | None:
    """The size of the largest weight in a picture of that kind; None where it shows no weights."""
    import numpy as np

    if kind == "filters":
        first = first_kernel(subject)
        arrays = [] if first is None else [first[1]]
    else:
        arrays = [kernel for _, kernel, _ in (kernels(subject) or ())] if kind == "network" else []
    return max((float(np.abs(array).max()) for array in arrays), default=None)


def _one_target(subject: Subject) -> bool:
    targets = subject.splits.train.targets
    return bool(targets.ndim == 1 or targets.shape[1] == 1)
