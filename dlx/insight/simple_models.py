"""What simpler methods learn from the same arrays: functions of scikit-learn, NumPy in, predictions out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

CELLS = {"linear": 8_000_000, "neighbours": 8_000_000, "trees": 8_000_000}  # numbers that a method is fitted on
SMALL = 2_000_000  # numbers: on fewer, threads wait for one another
NEIGHBOURS = 5


@dataclass(frozen=True, eq=False)
class Problem:
    """inputs: (n, d), or a sparse matrix of words; targets: as a Split has them. classes: 0 where there are none.

    alike: all inputs are of one kind, as the pixels of images, and are scaled together.
    """

    task: str
    classes: int
    inputs: Any
    targets: np.ndarray
    seed: int
    alike: bool = False

    def at_most(self, rows: int) -> Problem:
        """The same with so many examples, chosen at random."""
        import numpy as np

        if len(self.targets) <= rows:
            return self
        chosen = np.sort(np.random.default_rng(self.seed).permutation(len(self.targets))[:rows])
        return replace(self, inputs=self.inputs[chosen], targets=self.targets[chosen])


Predict = Callable[[Any], "np.ndarray"]  # inputs -> probabilities (n, classes or labels), or values (n, k)


def guess(problem: Problem) -> Predict:
    """Always the same answer: the share of each class or label, of values the mean."""
    import numpy as np

    if problem.task == "classification":
        answer = np.bincount(problem.targets, minlength=problem.classes) / len(problem.targets)
    else:
        answer = np.asarray(problem.targets, np.float64).mean(axis=0)
    return lambda inputs: np.tile(answer, (inputs.shape[0], 1))


def linear(problem: Problem) -> Predict:
    """Logistic regression; of values, ridge regression."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.multiclass import OneVsRestClassifier

    scale = _scaler(problem)
    if problem.task == "regression":
        return _fitted(Ridge(), problem, scale)
    model = LogisticRegression(max_iter=200)
    return _fitted(OneVsRestClassifier(model) if problem.task == "multi_label" else model, problem, scale)


def neighbours(problem: Problem) -> Predict:
    """The five nearest examples."""
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    count = min(NEIGHBOURS, len(problem.targets))
    kind = KNeighborsRegressor if problem.task == "regression" else KNeighborsClassifier
    return _fitted(kind(count), problem, _scaler(problem))


def trees(problem: Problem) -> Predict:
    """Gradient-boosted trees (histograms of the inputs, as LightGBM)."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1 if problem.inputs.shape[0] * problem.inputs.shape[1] < SMALL else None):
        return _trees(problem)


def _trees(problem: Problem) -> Predict:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor

    several = problem.targets.ndim > 1 and problem.targets.shape[1] > 1
    if problem.task == "regression":
        model: Any = HistGradientBoostingRegressor(random_state=problem.seed)
        return _fitted(MultiOutputRegressor(model) if several else model, problem, _dense)
    model = HistGradientBoostingClassifier(random_state=problem.seed)
    return _fitted(MultiOutputClassifier(model) if problem.task == "multi_label" else model, problem, _dense)


METHODS: dict[str, Callable[[Problem], Predict]] = {
    "guess": guess, "linear": linear, "neighbours": neighbours, "trees": trees,
}  # fmt: skip


def rows_for(name: str, problem: Problem) -> int:
    """How many examples a method is fitted on: all, unless there are too many numbers in them."""
    many = problem.classes if name == "trees" else 1
    return max(CELLS.get(name, 10**12) // max(int(problem.inputs.shape[1]) * max(many, 1), 1), 200)


def _fitted(model: Any, problem: Problem, scale: Callable[[Any], Any]) -> Predict:
    import numpy as np

    targets = problem.targets
    targets = targets.reshape(-1) if targets.ndim > 1 and targets.shape[1] == 1 else targets
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an optimizer that has not converged is a baseline, too
        model.fit(scale(problem.inputs), targets if problem.task == "regression" else targets.astype(np.int64))

    def predict(inputs: Any) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if problem.task == "regression":
                return np.asarray(model.predict(scale(inputs)), np.float64).reshape(inputs.shape[0], -1)
            return _probabilities(model, model.predict_proba(scale(inputs)), problem)

    return predict


def _probabilities(model: Any, answers: Any, problem: Problem) -> np.ndarray:
    """(n, classes), also of classes that train lacks; of labels the probability of each."""
    import numpy as np

    if isinstance(answers, list):  # a label each: (n, 2), or (n, 1) where train has one value alone
        columns = []
        for answer, known in zip(answers, _known(model, len(answers)), strict=True):
            columns.append(answer[:, -1] if answer.shape[1] > 1 else np.full(len(answer), float(known[0])))
        return np.stack(columns, axis=1)
    answers = np.asarray(answers, np.float64)
    if problem.task == "multi_label":
        return np.asarray(answers)
    full = np.zeros((len(answers), problem.classes))
    full[:, np.asarray(model.classes_, np.int64)] = answers
    return full


def _known(model: Any, labels: int) -> Any:
    """The values of each label that train has."""
    return getattr(model, "classes_", [(0, 1)] * labels)


def _scaler(problem: Problem) -> Callable[[Any], Any]:
    """Mean 0 and deviation 1 of each column, or of all together, as distances and penalties want; not of words."""
    import numpy as np

    inputs = problem.inputs
    if not isinstance(inputs, np.ndarray):
        return lambda values: values
    axis = None if problem.alike else 0
    mean, deviation = inputs.mean(axis=axis), inputs.std(axis=axis)
    deviation = np.where(deviation > 0, deviation, 1.0)
    return lambda values: (values - mean) / deviation


def _dense(values: Any) -> Any:
    return values if not hasattr(values, "toarray") else values.toarray()
