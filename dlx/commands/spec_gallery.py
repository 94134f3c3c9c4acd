"""The pictures that `dlx plot` draws of a spec's data, before any training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from dlx import spec as specs
from dlx.commands.gallery import Drawing
from dlx.errors import DlxError
from dlx.model.build import augmentations
from dlx.plots.data import augmented, pictures
from dlx.training.experiment import Experiment, prepare

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SpecGallery:
    """The specs whose data is drawn. `problems`: what could not be drawn; `remarks`: what is to know of the rest."""

    def __init__(self, paths: Sequence[str], settings: Sequence[str]) -> None:
        self._specs = [specs.load(path, settings) for path in paths]
        self.problems: list[DlxError] = []
        self.remarks: list[str] = []

    def drawings(self, only: Sequence[str]) -> list[Drawing]:
        """(file name, function) of every picture that fits the data, or of those in `only`."""
        drawings: list[Drawing] = []
        for spec in self._specs:
            experiment = prepare(spec)
            drawn: dict[str, Callable[[], Figure]] = dict(pictures(experiment.dataset, experiment.splits, spec.name))
            if spec.augment:
                drawn["augmented"] = partial(_augmented, experiment)
            if not drawn:
                self.remarks.append(f"{spec.name}: no picture fits its data of the shape {experiment.dataset.shape}")
            for kind in only or drawn:
                if kind in drawn:
                    drawings.append((f"{spec.name}-{kind}", drawn[kind]))
                else:
                    reason = "it has no `augment`" if kind == "augmented" else "its data does not fit one"
                    self.problems.append(DlxError(f"has no picture of {kind}: {reason}", where=spec.name))
        return drawings


def _augmented(experiment: Experiment) -> Figure:
    functions = augmentations(experiment.spec, experiment.facts)
    return augmented(functions, experiment.dataset, experiment.splits, f"{experiment.spec.name}: augmentation")
