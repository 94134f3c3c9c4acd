"""Whether a converted model answers as the network does: run on examples, the first alone, the others in sevens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dlx.errors import DataError, TrainingError
from dlx.inference.forward import class_probabilities, decisions, in_batches

if TYPE_CHECKING:
    import numpy as np

SIZE = 7
TOLERANCE = 1e-5  # of a probability, or of a value in standard deviations of its column
Answers = Callable[[Iterable["np.ndarray"]], Iterator["np.ndarray"]]


@dataclass(frozen=True)
class Agreement:
    """How a model compares to the network: the largest difference of an answer, on so many rows of which data.

    figure, before, after: of a quantised model what it was judged by, of the network and of itself.
    """

    difference: float
    rows: int
    data: str
    figure: str | None = None
    before: float | None = None
    after: float | None = None

    def record(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


def difference(expected: np.ndarray, answers: np.ndarray, unit: Any = 1.0) -> float:
    """The largest difference between answers, in `unit` of each column; infinite where one of both is no number."""
    import numpy as np

    if answers.shape != expected.shape:
        return float("inf")
    apart = np.abs(np.asarray(answers, np.float64) - expected) / np.maximum(unit, 1e-300)
    return float(apart.max()) if np.isfinite(apart).all() else float("inf")


def checked(expected: np.ndarray, answer: Answers, inputs: np.ndarray, unit: Any, data: str) -> Agreement:
    """The agreement of a model with the network. Raises TrainingError where it is not within TOLERANCE."""
    import numpy as np

    if not len(inputs):
        raise DataError("there is no example to check the model on")
    places = np.resize(np.arange(len(inputs)), max(len(inputs), SIZE + 1))  # of few, some again
    asked, known = inputs[places], expected[places]
    batches = [asked[:1], *in_batches(asked[1:], SIZE)]
    largest = difference(known, np.concatenate(list(answer(batches))), unit if np.ndim(unit) < 2 else unit[places])
    if not largest <= TOLERANCE:
        message = f"its answers differ from those of the network by up to {largest:.2g}, expected {TOLERANCE:g}"
        raise TrainingError(message, hint="nothing was written")
    return Agreement(largest, len(inputs), data)


def kept_figure(expected: np.ndarray, answer: Answers, examples: Any, task: str, tolerance: float) -> Agreement:
    """The agreement of a quantised model, judged by its figure on the examples: accuracy, or mean absolute error.

    Raises TrainingError where it loses more than `tolerance`: of the accuracy, or of the error as a share of it.
    """
    import numpy as np

    if examples.targets is None:
        raise DataError("a quantised model is judged by its figure, and the run's data cannot be loaded")
    answers = np.concatenate(list(answer(in_batches(examples.inputs))))
    before, after = (figure(each, examples.targets, task) for each in (expected, answers))
    name = figure_name(task)
    lost = (after - before) / max(before, 1e-300) if task == "regression" else before - after
    if not lost <= tolerance:
        message = f"quantised, its {name} on {examples.data} goes from {before:.4g} to {after:.4g}"
        raise TrainingError(message, hint=f"expected a loss of at most {tolerance:g}; --tolerance allows more")
    return Agreement(difference(expected, answers), len(answers), examples.data, name, before, after)


def figure_name(task: str) -> str:
    """What a quantised model is judged by."""
    return "mae" if task == "regression" else "accuracy"


def figure(answers: np.ndarray, targets: np.ndarray, task: str) -> float:
    """The accuracy of probabilities, or the mean absolute error of values."""
    import numpy as np

    if task == "regression":
        return float(np.abs(answers - np.reshape(targets, answers.shape)).mean())
    return float((decisions(class_probabilities(answers, task), task) == targets).mean())


def expected_answers(model: Any, inputs: np.ndarray, task: str) -> np.ndarray:
    """What the network gives for raw inputs: probabilities of every class, or values. Raises DataError."""
    import numpy as np

    return class_probabilities(np.concatenate(list(model.answers(in_batches(inputs)))), task)
