"""Subject: a trained network and its data, ready to be drawn."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlx.data.dataset import Dataset
from dlx.data.splits import Splits
from dlx.inference.forward import answers, class_probabilities, classes_of, in_batches
from dlx.plots.history import Curve
from dlx.plots.style import number

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained network and its data, the inputs of which are scaled as the network takes them."""

    name: str
    network: Any
    dataset: Dataset
    splits: Splits
    curve: Curve = field(default_factory=lambda: Curve("", ()))
    best_epoch: int | None = None  # the epoch whose weights the network has, where it is not the last by its own wish
    largest: float | None = None  # the weight whose size a picture's scale ends at; its own largest by default

    @functools.cached_property
    def predictions(self) -> np.ndarray:
        """The predictions of the held-out examples, which several pictures are made of."""
        return self.predict(self.held_out[1].inputs)

    def judged(self) -> str:
        """How well the network does on the held-out examples, in words: its accuracy, or its mean absolute error."""
        good = self.goodness()
        return f"{100 * good:.1f} %" if self.dataset.task == "classification" else f"mae {number(-good)}"

    def goodness(self) -> float:
        """The accuracy on the held-out examples, or the mean absolute error below zero."""
        import numpy as np

        predictions, targets = self.predictions, np.asarray(self.held_out[1].targets)
        if self.dataset.task == "classification":
            return float((classes_of(predictions) == targets).mean())
        return -float(np.abs(predictions - targets.reshape(predictions.shape)).mean())

    def judged_by(self) -> str:
        """Whose figure `judged` is: the history has means over an epoch, while the weights were changing."""
        early = self.best_epoch is not None and self.curve.rows and self.best_epoch < int(self.curve.rows[-1]["epoch"])
        return "by the saved model" + (f", after epoch {self.best_epoch:,}" if early else "")

    @property
    def model(self) -> Any:
        return self.network.model

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.classes

    @property
    def held_out(self) -> tuple[str, Any]:
        """(name, split) of the examples to judge by: test, else validation, else train."""
        if self.splits.test is not None:
            return "test", self.splits.test
        if self.splits.validation is not None:
            return "validation", self.splits.validation
        return "train", self.splits.train

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """(n, classes) probabilities, both classes of one sigmoid unit among them, or (n, targets) values."""
        import numpy as np

        outputs = np.concatenate(list(answers(self.network, in_batches(inputs))))
        return class_probabilities(outputs, self.dataset.task)
