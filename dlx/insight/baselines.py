"""Simpler methods on the splits and the preprocessing of a spec, each kept as a run: what a network has to beat."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx import __version__
from dlx import spec as specs
from dlx.data.dataset import Split
from dlx.errors import DlxError
from dlx.inference.exact import mae, of_two_classes
from dlx.insight.simple_models import METHODS, Predict, Problem, rows_for
from dlx.parts import REGISTRIES
from dlx.runs.run import Run
from dlx.runs.summary import BASELINE
from dlx.spec.sections import Spec, flat, resolved
from dlx.system import machine
from dlx.system.backend import keras
from dlx.training.experiment import Experiment
from dlx.training.provenance import data_record, origin

if TYPE_CHECKING:
    import numpy as np

# What of a spec a baseline depends on beside the data, which its fingerprint names: how it is cut and scaled.
CUT = ("task", "test", "validation", "split_seed", "preprocess")
LARGEST = 1e-7  # probabilities are kept so far from 0 for the loss


@dataclass(frozen=True)
class Baseline:
    """A method's run; rows: how many examples it was fitted on; made: whether just now."""

    method: str
    run: Run
    rows: int
    made: bool


def baselines(experiment: Experiment, root: Path, command: Sequence[str]) -> Iterator[Baseline]:
    """Each method's run of an experiment's data: one that is there, else a new one.

    Raises DlxError for a class a step, of which no method here is.
    """
    if experiment.facts.steps:
        where = experiment.spec.locate("dataset")
        raise DlxError("the data has a class for each step: none of the simpler methods answers that", where=where)
    there = existing(root, cut_of(experiment.spec), experiment.dataset.fingerprint)
    prepared: tuple[Split, dict[str, Any]] | None = None
    for method in METHODS:
        if method in there:
            info = there[method].info()
            yield Baseline(method, there[method], int(info.get("fitted_on", 0)), made=False)
            continue
        prepared = prepared or _arrays(experiment)
        yield _make(method, experiment, prepared, (root, command))


def cut_of(spec: Spec) -> dict[str, Any]:
    """The settings by which the data of a spec is cut and scaled, flat."""
    whole = resolved(spec)
    return flat({key: whole[key] for key in CUT})


def existing(root: Path, settings: Mapping[str, Any], fingerprint: str) -> dict[str, Run]:
    """The finished baselines of this data in the runs folder, by method; of several the newest."""
    known: dict[str, Run] = {}
    paths = sorted(root.glob(f"*_{BASELINE}_*-*"), key=lambda path: path.name) if root.is_dir() else []
    for path in paths:
        try:
            run = Run.open(path)
            info = run.info()
        except DlxError:
            continue
        cut = {key: value for key, value in info["settings"].items() if key.split(".")[0] in CUT}
        data = (info.get("dataset") or {}).get("fingerprint") == fingerprint
        if info.get("kind") == BASELINE and cut == settings and data and run.status == "done":
            known[str(info["settings"].get(BASELINE))] = run
    return known


def _make(
    method: str, experiment: Experiment, prepared: tuple[Split, dict[str, Any]], where: tuple[Path, Sequence[str]]
) -> Baseline:
    """Fit a method, and keep what came of it as a run; where: the runs folder, and the command as typed."""
    spec, began, (root, command), (train, arrays) = experiment.spec, time.monotonic(), where, prepared
    classes = len(experiment.dataset.classes) if experiment.dataset.task == "classification" else 0
    alike = experiment.dataset.kind == "image"
    whole = Problem(experiment.dataset.task, classes, arrays["train"], train.targets, spec.seed, alike)
    problem = whole.at_most(rows_for(method, whole))
    predict = METHODS[method](problem)
    seconds = time.monotonic() - began
    figures, predictions = _figures(experiment, prepared, predict)
    figures |= {"train_seconds": round(seconds, 3), "total_seconds": round(time.monotonic() - began, 3)}
    run = Run.create(root, f"{spec.name}_{BASELINE}_{method}")
    try:
        text = specs.dump(spec, str(run.path.resolve()))
        text = f"# The baseline {method!r} of this spec: it has no network.\n{text}"
        run.begin(text, _record(method, experiment, command, len(problem.targets), run))
        _keep(run, *predictions)
        run.finish(figures)
    finally:
        run.release()
    return Baseline(method, run, len(problem.targets), made=True)


def _record(method: str, experiment: Experiment, command: Sequence[str], rows: int, run: Run) -> dict[str, Any]:
    """run.json of a baseline: as that of a training, without a network."""
    import numpy
    import sklearn

    spec = experiment.spec
    whole = resolved(spec, str(run.path.resolve()))
    settings = {
        "name": f"{spec.name}_{BASELINE}_{method}",
        BASELINE: method,
        **{key: whole[key] for key in ("dataset", *CUT)},
    }
    return {
        **origin(spec, command, experiment.started),
        "dlx": __version__,
        "kind": BASELINE,
        "fitted_on": rows,
        "versions": {"scikit-learn": sklearn.__version__, "numpy": numpy.__version__},
        "backend": "scikit-learn",
        "device": "cpu",
        "device_name": f"CPU, {machine.cores()} cores",
        **data_record(experiment),
        "parent": None,
        "code": {},
        "settings": flat(settings),
    }


def _keep(run: Run, split: Split, predictions: np.ndarray) -> None:
    import numpy as np

    with run.replacing("predictions.npz") as path:
        np.savez(path, index=split.index, label=split.targets, prediction=predictions)


def _figures(
    experiment: Experiment, prepared: tuple[Split, Mapping[str, Any]], predict: Predict
) -> tuple[dict[str, Any], tuple[Split, np.ndarray]]:
    """(the figures of validation and test; the split that is judged last, and what was predicted of it)"""
    splits, (train, arrays) = experiment.splits, prepared
    judged = [("val", splits.validation), ("test", splits.test)]
    if splits.validation is None and splits.test is None:
        judged = [("train", train)]
    figures: dict[str, Any] = {}
    answered: tuple[Split, np.ndarray] | None = None
    for name, split in judged:
        if split is None:
            continue
        if name == "test" and splits.test_is_validation:
            figures |= {key.replace("val_", "test_", 1): value for key, value in figures.items()}
            continue
        answered = (split, _predicted(predict, arrays[name]))
        figures |= {f"{name}_{key}": value for key, value in _of(experiment, split, answered[1]).items()}
    if splits.test_is_validation:
        figures["test_is_validation"] = True
    assert answered is not None
    return figures, answered


def _predicted(predict: Predict, inputs: Any) -> np.ndarray:
    """The predictions of inputs, a piece at a time."""
    import numpy as np

    return np.concatenate([predict(inputs[start : start + PIECE]) for start in range(0, inputs.shape[0], PIECE)])


def _of(experiment: Experiment, split: Split, predictions: np.ndarray) -> dict[str, float]:
    """The figures of a split: those that a network's run has of the task, its loss where that is the task's own."""
    import numpy as np

    targets, task, made = split.targets, experiment.dataset.task, {}
    if task == "regression":
        made["mae"] = mae(np.asarray(targets, np.float64), predictions)
        if (scaling := experiment.target_scaling) is not None:
            made["loss"] = float(np.square((targets - predictions) / scaling.deviation).mean())
    elif task == "multi_label":
        right = (predictions > 0.5) == (targets > 0.5)
        made |= {"accuracy": float(right.mean()), "exact_match": float(right.all(axis=1).mean())}
        p = np.clip(predictions, LARGEST, 1 - LARGEST)
        made["loss"] = float(-np.where(targets > 0.5, np.log(p), np.log(1 - p)).mean())
    else:
        made["accuracy"] = float((predictions.argmax(axis=1) == targets).mean())
        made["loss"] = float(-np.log(np.clip(predictions[np.arange(len(targets)), targets], LARGEST, 1)).mean())
        if experiment.dataset.kind == "table" and predictions.shape[1] == 2:
            made |= of_two_classes(targets, predictions)
    if experiment.spec.loss != "auto":
        made.pop("loss", None)
    return made


# The arrays

ROWS = 50_000  # of train that are prepared: no method is fitted on more of them
SIDE = 32  # pixels of an image that methods look at, evenly chosen of a larger one
PIECE = 512


def _arrays(experiment: Experiment) -> tuple[Split, dict[str, Any]]:
    """(the train examples that are prepared, every split's inputs as a method takes them).

    (n, d), scaled as the spec says, of images every few pixels; of texts the counts of words.
    """
    import numpy as np

    splits = experiment.splits
    train = splits.train
    if len(train) > ROWS and experiment.dataset.kind != "text":
        chosen = np.random.default_rng(experiment.spec.seed).permutation(len(train))[:ROWS]
        train = train.take(np.sort(chosen))
    named = {"train": train, "val": splits.validation}
    if not splits.test_is_validation:
        named["test"] = splits.test
    there = {name: split for name, split in named.items() if split is not None}
    if experiment.dataset.kind == "text":
        size = int(max(np.asarray(split.inputs[:]).max() for split in there.values())) + 1
        return train, {name: _words(np.asarray(split.inputs[:]), size) for name, split in there.items()}
    scale = _Scale(experiment, train)
    return train, {name: scale(split) for name, split in there.items()}


def _words(tokens: np.ndarray, size: int) -> Any:
    """(n, words) counts, sparse, each row of length 1; 0 is padding."""
    import numpy as np
    from scipy.sparse import csr_matrix
    from sklearn.preprocessing import normalize

    rows = np.repeat(np.arange(len(tokens)), tokens.shape[1])
    columns = tokens.reshape(-1)
    there = columns > 0
    counts = csr_matrix((np.ones(there.sum()), (rows[there], columns[there])), shape=(len(tokens), size))
    return normalize(counts)


class _Scale:
    """The spec's preprocessing, fitted on train, and then flat."""

    def __init__(self, experiment: Experiment, train: Split) -> None:
        self._layers: list[Any] = []
        made = [REGISTRIES["preprocess"].make(part) for part in experiment.spec.preprocess]
        for number, one in enumerate(made):
            if one.statistics is not None and number == 0 and experiment.dataset.input_scaling is not None:
                continue  # the inputs are scaled already
            if one.statistics is not None:
                one.layer.adapt(self._through(_read(train, 0, 10 * PIECE)))
            self._layers.append(one.layer)

    def _through(self, values: np.ndarray) -> np.ndarray:
        import numpy as np

        values = np.asarray(values, np.float32)
        for layer in self._layers:
            values = np.asarray(keras.ops.convert_to_numpy(layer(values)))
        return values

    def __call__(self, split: Split) -> np.ndarray:
        import numpy as np

        pieces = []
        for start in range(0, len(split), PIECE):
            values = self._through(_read(split, start, PIECE))
            if values.ndim == 4:
                step = -(-max(values.shape[1:3]) // SIDE)
                values = values[:, ::step, ::step]
            pieces.append(values.reshape(len(values), -1))
        return np.concatenate(pieces)


def _read(split: Split, start: int, count: int) -> np.ndarray:
    """Some examples in order, read from their files where they stay on disk."""
    import numpy as np

    return np.asarray(split.inputs[start : start + count])
