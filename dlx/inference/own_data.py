"""Predictions of a run's own data, each beside the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dlx.data.dataset import Dataset, Split
from dlx.errors import DlxError
from dlx.inference.forward import BATCH, answers, class_probabilities, decisions
from dlx.inference.prediction import Prediction
from dlx.inference.threshold import moved

if TYPE_CHECKING:
    import numpy as np

MOST_SHOWN = 8  # a whole split of so few examples is printed after its training
Chooser = Callable[[Any, Dataset, Split, float | None], "np.ndarray"]


def predictions(
    network: Any,
    dataset: Dataset,
    named: tuple[str, Split],
    rows: np.ndarray,
    top: int | None = None,
    threshold: float | None = None,
) -> Iterator[Prediction]:
    """A Prediction with its truth of each of the rows, positions from 0 in the split of that name."""
    import numpy as np

    name, split = named
    classes, several, reading = list(dataset.classes), dataset.task == "multi_label", dataset.reading
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        inputs = np.asarray(split.inputs[some])
        answered = class_probabilities(np.concatenate(list(answers(network, [inputs]))), dataset.task)
        for row, example, answer in zip(some, inputs, answered, strict=True):
            target = split.targets[row]
            shown = f"{name} {row}" if reading is None else reading.example(example)
            if split.place is not None:
                shown = f"{shown}: {split.place(int(split.index[row]))}"
            made = Prediction.of(shown, answer, classes, top, several, threshold).beside(truth(target, dataset))
            if reading is not None and reading.answer is not None:
                decided = answer[None] if threshold is None else moved(answer[None], threshold)
                pair = (reading.answer(decisions(decided, dataset.task)[0]), reading.answer(target))
                made = made.read(*pair)
            yield made


def truth(target: Any, dataset: Dataset) -> Any:
    """A target as a prediction says it: a class, a class for each step, the labels that hold, or values."""
    import numpy as np

    classes = dataset.classes
    if dataset.task == "multi_label":
        return [name for name, holds in zip(classes, target, strict=True) if holds > 0.5]
    if dataset.task == "classification":
        return classes[int(target)] if np.ndim(target) == 0 else [classes[int(step)] for step in target]
    values = [float(value) for value in np.atleast_1d(target)]
    return values[0] if len(values) == 1 else values


def chosen(text: str | None) -> Chooser:
    """The rows that --rows names: 0,7,12 or 20-25; all where it names none."""

    def choose(network: Any, dataset: Dataset, split: Split, threshold: float | None) -> np.ndarray:
        import numpy as np

        if text is None:
            return np.arange(len(split))
        rows: list[int] = []
        for word in text.split(","):
            first, _, last = word.strip().partition("-")
            if not (first.isdecimal() and (not last or last.isdecimal())):
                raise DlxError(f"--rows: expected numbers (0,7,12 or 20-25), got {text!r}")
            if last and int(last) < int(first):
                raise DlxError(f"--rows: {word.strip()} counts down; expected {last}-{first}")
            if (end := max(int(first), int(last or first))) >= len(split):
                raise DlxError(f"--rows: there is no row {end}; the split has the rows 0 to {len(split) - 1:,}")
            rows += range(int(first), int(last or first) + 1)
        return np.array(rows, np.int64)

    return choose


def at_random(count: int) -> Chooser:
    """So many rows of a split, others each time, in their order."""

    def choose(network: Any, dataset: Dataset, split: Split, threshold: float | None) -> np.ndarray:
        import numpy as np

        rows: np.ndarray = np.random.default_rng().permutation(len(split))[:count]
        return np.sort(rows)

    return choose


def most_wrong(count: int) -> Chooser:
    """So many rows that are wrong, those that the network was surest of first; of values those farthest off."""

    def choose(network: Any, dataset: Dataset, split: Split, threshold: float | None) -> np.ndarray:
        import numpy as np

        batches = (np.asarray(split.inputs[start : start + BATCH]) for start in range(0, len(split), BATCH))
        outputs = class_probabilities(np.concatenate(list(answers(network, batches))), dataset.task)
        outputs = outputs if threshold is None else moved(outputs, threshold)
        if dataset.task == "regression":
            off = np.abs(outputs - split.targets).max(axis=-1)
            wrong = off > 0
        else:
            differs = decisions(outputs, dataset.task) != split.targets
            wrong = differs.reshape(len(split), -1).any(axis=1)
            sure = np.maximum(outputs, 1 - outputs) if dataset.task == "multi_label" else outputs.max(axis=-1)
            off = np.where(differs, sure, 0).reshape(len(split), -1).max(axis=1)
        order = np.argsort(-off, kind="stable")
        found: np.ndarray = order[wrong[order]][:count]
        return found

    return choose


def line(prediction: Prediction) -> str:
    """A prediction beside its truth, as it is printed after a training: `0 1 → 0.9752 (true 1)`."""
    if prediction.reading is not None:
        return f"{prediction.input} = {prediction.reading[0]} (true {prediction.reading[1]})"
    if prediction.value is not None:
        values = "  ".join(f"{value:.4g}" for value in prediction.values)
        return f"{prediction.input} → {values} (true {prediction.truth})"
    shares = list(prediction.shares.values())
    answer = f"{shares[1]:.4f}" if len(shares) == 2 else str(prediction.label)
    return f"{prediction.input} → {answer} (true {prediction.truth})"


def examples(network: Any, dataset: Dataset, splits: Sequence[tuple[str, Split]]) -> list[str]:
    """Lines for a dataset that says how its examples are read: a small split in whole, of a larger one three rows."""
    import numpy as np

    if dataset.reading is None:
        return []
    named = splits[0]
    rows = np.arange(len(named[1]) if len(named[1]) <= MOST_SHOWN else 3)
    return [line(prediction) for prediction in predictions(network, dataset, named, rows)]
