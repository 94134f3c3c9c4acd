"""Every figure of a model on a split, with how far chance goes: intervals, classes, slices, importance, the worst."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlx.errors import DataError
from dlx.inference.evaluate import calibration, confusion_counts, evaluate, per_class
from dlx.inference.exact import EXACT
from dlx.inference.forward import answers as network_answers
from dlx.inference.forward import class_probabilities, decisions, in_batches
from dlx.inference.own_data import truth
from dlx.inference.threshold import LEAST as LEAST_EACH
from dlx.inference.threshold import Threshold, choose, moved
from dlx.insight.labelled import Labelled

if TYPE_CHECKING:
    import numpy as np

    from dlx.data.dataset import Dataset
    from dlx.data.encoding import Encoding

Z = 1.959964  # of a 95 % interval
RESAMPLES = 1000  # of a bootstrap (Efron 1979)
SHUFFLES = 5  # of a column, for its importance
LEAST = 10  # examples of a slice that is shown
MOST_WORST = 1000
Figure = Callable[["np.ndarray", "np.ndarray"], float]


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; without one where it is not known how far chance goes."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of labelled examples. prediction: probabilities of every class, or values in their unit.

    threshold: from which probability on the second of two classes is the answer; None for the more probable.
    """

    task: str
    classes: Sequence[str]
    label: np.ndarray
    prediction: np.ndarray
    threshold: float | None = None

    def __len__(self) -> int:
        return len(self.label)

    @property
    def deciding(self) -> np.ndarray:
        """The prediction by which is decided: with a threshold at one half."""
        return self.prediction if self.threshold is None else moved(self.prediction, self.threshold)

    def right(self) -> np.ndarray:
        """(n,) the share of an example that is right: 0 or 1, of a sequence or several labels also between."""
        import numpy as np

        same = np.asarray(decisions(self.deciding, self.task) == self.label)
        return np.asarray(same.reshape(len(self), -1).mean(axis=1))

    def errors(self) -> np.ndarray:
        """(n,) the absolute error of values, the mean over targets."""
        import numpy as np

        return np.asarray(np.abs(self.prediction - self.label).reshape(len(self), -1).mean(axis=1))

    @property
    def headline(self) -> str:
        """The figure that slices and importance are of."""
        return "mae" if self.task == "regression" else "accuracy"

    def each(self) -> np.ndarray:
        """(n,) what the mean of is the headline."""
        return self.errors() if self.task == "regression" else self.right()


def share_interval(share: float, n: int) -> Interval:
    """A share of n examples (Wilson 1927)."""
    if not n:
        return Interval(share)
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return Interval(share, min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share))


def mean_interval(each: np.ndarray, value: float | None = None) -> Interval:
    """The mean of numbers of examples; of a loss with penalties its own `value`, as far around it."""
    mean = float(each.mean()) if value is None else value
    if len(each) < 2:
        return Interval(mean)
    half = Z * float(each.std(ddof=1)) / math.sqrt(len(each))
    return Interval(mean, mean - half, mean + half)


def bootstrap(figure: Figure, answers: Answers, value: float) -> Interval:
    """The interval of a figure of all examples together, by drawing them again with replacement."""
    import numpy as np

    generator, values = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        rows = generator.integers(0, len(answers), len(answers))
        values.append(figure(answers.label[rows], answers.prediction[rows]))
    known = [one for one in values if math.isfinite(one)]
    if len(known) < RESAMPLES / 2:
        return Interval(value)
    low, high = (float(bound) for bound in np.quantile(known, [0.025, 0.975]))
    return Interval(value, low, high)


def intervals(figures: Mapping[str, float], answers: Answers, losses: np.ndarray) -> dict[str, Interval]:
    """Each figure of a split with its interval; losses: (n,) those of the examples, without penalties."""
    found = {}
    for name, value in figures.items():
        if name in ("loss", "data_loss"):
            found[name] = mean_interval(losses, value)
        elif name == "accuracy":
            whole = answers.label.ndim == 1
            found[name] = share_interval(value, len(answers)) if whole else mean_interval(answers.right(), value)
        elif name == "mae":
            found[name] = mean_interval(answers.errors(), value)
        elif name == "exact_match" or (name.startswith("top_") and answers.label.ndim == 1):
            found[name] = share_interval(value, len(answers))
        elif name in EXACT:
            found[name] = bootstrap(EXACT[name], answers, value)
        elif name in ("precision", "recall") and len(answers.classes) == 2 and answers.label.ndim == 1:
            second = answers.label if name == "recall" else decisions(answers.deciding, answers.task)
            found[name] = share_interval(value, int((second == 1).sum()))
        else:
            found[name] = Interval(value)
    return found


def slices(values: Sequence[str], answers: Answers) -> list[tuple[str, int, Interval]]:
    """(value, examples, headline) of each value of a column that LEAST examples have, the most frequent first."""
    import numpy as np

    column, each = np.asarray(values, str), answers.each()
    names, counts = np.unique(column, return_counts=True)
    found = []
    for place in np.argsort(-counts, kind="stable"):
        if counts[place] < LEAST:
            continue
        inside = each[column == names[place]]
        binary = answers.headline == "accuracy" and answers.label.ndim == 1
        interval = share_interval(float(inside.mean()), len(inside)) if binary else mean_interval(inside)
        found.append((str(names[place]), int(counts[place]), interval))
    return found


def importance(
    ask: Callable[[np.ndarray], Answers], inputs: np.ndarray, encoding: Encoding, answers: Answers
) -> list[tuple[str, Interval]]:
    """(column, what its headline loses when the column is shuffled), the largest first (Breiman 2001).

    ask: inputs (n, k) as the network takes them -> answers. All inputs of a column are shuffled together.
    """
    import numpy as np

    sign = 1.0 if answers.headline == "mae" else -1.0
    generator, before, found = np.random.default_rng(0), answers.each(), []
    for name, places in _places(encoding).items():
        change = np.zeros(len(inputs))
        for _ in range(SHUFFLES):
            shuffled = np.array(inputs)
            shuffled[:, places] = shuffled[generator.permutation(len(inputs))][:, places]
            change += sign * (ask(shuffled).each() - before) / SHUFFLES
        found.append((name, mean_interval(change)))
    return sorted(found, key=lambda pair: -pair[1].value)


def _places(encoding: Encoding) -> dict[str, list[int]]:
    """The places of the inputs that each column of a table becomes, in the order of `input_names`."""
    places, start = dict[str, list[int]](), 0
    for name in encoding.columns:
        known = encoding.categories.get(name)
        count = (1 if known is None else len(known)) + (encoding.missing == "flag" and name in encoding.gaps)
        places[name], start = list(range(start, start + count)), start + count
    return places


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All that is known of a model on examples. worst: (position, truth, answer, loss) of its worst answers."""

    examples: Labelled
    answers: Answers
    figures: Mapping[str, Interval]
    worst: Sequence[tuple[int, Any, Any, float]]
    by: tuple[str, Sequence[tuple[str, int, Interval]]] | None = None
    importance: Sequence[tuple[str, Interval]] = field(default=())

    @property
    def split(self) -> str:
        """What the examples are called."""
        return self.examples.name

    @property
    def of_classes(self) -> bool:
        """Whether each example has one class."""
        return self.answers.task == "classification" and self.answers.label.ndim == 1

    def classes(self) -> list[dict[str, float]]:
        """Of each class: n, precision, recall, f1."""
        return per_class(self.answers.label, self.answers.deciding, len(self.answers.classes))

    def confusion(self) -> np.ndarray:
        """(classes, classes) how many examples of each class, a row, were taken for each."""
        return confusion_counts(self.answers.label, self.answers.deciding, len(self.answers.classes))

    def calibration(self) -> tuple[list[dict[str, float]], float]:
        """(bins of confidence, the expected calibration error)."""
        return calibration(self.answers.label, self.answers.prediction)

    def residuals(self) -> list[dict[str, float]]:
        """Of each target: mean, standard deviation, and quantiles of prediction - truth."""
        import numpy as np

        off = self.answers.prediction - self.answers.label
        low, middle, high = np.quantile(off, [0.05, 0.5, 0.95], axis=0)
        return [
            {"mean": float(off[:, n].mean()), "deviation": float(off[:, n].std()), "q5": float(low[n]),
             "median": float(middle[n]), "q95": float(high[n])}
            for n in range(off.shape[1])
        ]  # fmt: skip


def at_threshold(figures: Mapping[str, float], answers: Answers) -> dict[str, float]:
    """The figures, with those of decisions as the threshold decides."""
    if answers.threshold is None:
        return dict(figures)
    second = per_class(answers.label, answers.deciding, 2)[1]
    decided = {
        "accuracy": float(answers.right().mean()),
        **{name: second[name] for name in ("precision", "recall", "f1")},
    }
    return {name: decided.get(name, value) for name, value in figures.items()}


def answered(dataset: Dataset, targets: np.ndarray, outputs: np.ndarray, threshold: float | None = None) -> Answers:
    """The answers of a network beside what is true."""
    import numpy as np

    shown = np.asarray(class_probabilities(outputs, dataset.task), np.float64)
    return Answers(dataset.task, dataset.classes, targets, shown, threshold)


def worst(answers: Answers, dataset: Dataset, losses: np.ndarray) -> list[tuple[int, Any, Any, float]]:
    """(position, truth, answer, loss) of the answers, as a person reads them, the worst first."""
    import numpy as np

    decided = decisions(answers.deciding, answers.task)
    order = np.argsort(-np.nan_to_num(losses, nan=np.inf), kind="stable")[:MOST_WORST]
    return [
        (int(row), truth(answers.label[row], dataset), truth(decided[row], dataset), float(losses[row]))
        for row in order
    ]  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What is asked of a model on examples, `size` at a time. by: a column of whose values each is looked at.

    importance: whether columns are shuffled; worst: how many answers; threshold: as in Answers.
    """

    size: int
    by: str | None = None
    importance: bool = False
    worst: int = 5
    threshold: float | None = None


def evaluation(network: Any, examples: Labelled, question: Question) -> Evaluation:
    """The evaluation of a network on labelled examples.

    Raises DataError where the data is no table and `by` or `importance` is asked for.
    """
    dataset, split, threshold = examples.dataset, examples.split, question.threshold
    column = examples.column(question.by) if question.by is not None else []
    if question.importance and (dataset.encoding is None or len(split.inputs.shape) != 2):
        raise DataError("importance is of a table's columns, and this data is none", where="--importance")
    figures, predictions, losses = evaluate(network, dataset, split, question.size)
    answers = answered(dataset, split.targets, predictions, threshold)
    found = intervals(at_threshold(figures, answers), answers, losses)

    def ask(inputs: np.ndarray) -> Answers:
        import numpy as np

        outputs = np.concatenate(list(network_answers(network, in_batches(inputs))))
        return answered(dataset, split.targets, outputs, threshold)

    sorted_out: Sequence[tuple[str, Interval]] = ()
    if question.importance and dataset.encoding is not None:
        sorted_out = importance(ask, split.inputs, dataset.encoding, answers)
    sliced = (question.by, slices(column, answers)) if question.by is not None else None
    return Evaluation(examples, answers, found, worst(answers, dataset, losses)[: question.worst], sliced, sorted_out)


def best_threshold(network: Any, examples: Labelled, size: int, figure: str) -> tuple[Threshold, float]:
    """(the threshold with the best figure on examples of two classes, that figure). Raises DataError for too few."""
    import numpy as np

    _, predictions, _ = evaluate(network, examples.dataset, examples.split, size)
    label = examples.split.targets
    if (fewest := int(np.bincount(label, minlength=2).min())) < LEAST_EACH:
        message = f"the {examples.name} split has {fewest} examples of a class, too few to choose a threshold on"
        raise DataError(message, hint=f"expected {LEAST_EACH}; or --threshold 0.4")
    value, reached = choose(label, class_probabilities(predictions, "classification")[:, 1], figure)
    return Threshold(value, figure, examples.name), reached
