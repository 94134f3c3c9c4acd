"""Examples whose labels are known: a run's own split, or files as `predict` takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.data.dataset import Dataset, Split
from dlx.data.npz import read_arrays
from dlx.errors import DataError, RunError
from dlx.inference.prediction import TableRow
from dlx.inference.predictor import KerasModel, Predictor
from dlx.parts.datasets.table_reader import no_column, read_table, shape_of
from dlx.system import machine
from dlx.training.experiment import prepare, spec_of

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Labelled:
    """Examples as a network takes them, with what is true of them. split: what they are called.

    fields: of a table every row's fields by column, where they are at hand; path: else the file that has them by
    row number. changed: whether the data is not what the run was trained on.
    """

    dataset: Dataset
    split: Split
    name: str
    fields: Sequence[Mapping[str, str]] = ()
    path: str = ""
    changed: bool = False

    def column(self, name: str) -> list[str]:
        """The values of a column of the table, as text. Raises DataError where there is none of that name."""
        if self.fields:
            if name not in self.fields[0]:
                raise no_column(name, list(self.fields[0]), "--by")
            return [row[name] for row in self.fields]
        if not self.path:
            raise DataError("is of a table's rows, and this data is no table", where="--by")
        header, _ = shape_of(self.path)
        if name not in header:
            raise no_column(name, header, "--by")
        table = read_table(self.path, [name])
        return [str(value) for value in table[name].iloc[self.split.index]]


def own(predictor: Predictor, split: str | None) -> Labelled:
    """A split of the run's own data: test, else validation, else train. Raises RunError where it has none of that name,
    DataError where the data cannot be loaded."""
    run = predictor.run
    spec = spec_of(run)
    experiment = prepare(spec, recorded=run.info())
    splits = experiment.splits.named()
    name = split or next(reversed(splits))
    if name not in splits:
        raise RunError(f"has no {name} split; it has {', '.join(splits)}", where=str(run.path))
    recorded = (run.info().get("dataset") or {}).get("fingerprint")
    path = ""
    if spec.dataset.name == "csv":
        second = spec.dataset.args.get("test")
        path = str(second if second and name == "test" else spec.dataset.args["path"])
    changed = recorded not in (None, experiment.dataset.fingerprint)
    return Labelled(experiment.dataset, splits[name], name, path=path, changed=changed)


def given(predictor: Predictor, words: Sequence[str]) -> Labelled:
    """Files with labels: a table with the column that is predicted, images in folders named as the classes, or arrays
    x and y of an .npz. Raises DataError where a label is missing, or is none of the run's.
    """
    import numpy as np

    inputs: list[Any] = []
    targets: list[Any] = []
    fields: list[Mapping[str, str]] = []
    for word in words:
        kept, row = _arrays(word), 0
        batches, _ = predictor.read([word])
        for names, array in batches:
            inputs.append(array)
            said = [_truth(name, predictor) for name in names] if kept is None else kept[row : row + len(array)]
            targets.append(_targets(said, predictor, word))
            fields += [name.fields for name in names if isinstance(name, TableRow)]
            row += len(array)
    if predictor.skipped:
        raise predictor.skipped[0]
    if not inputs:
        raise DataError("holds no example", where=" ".join(words))
    info, label = predictor.info, np.concatenate(targets)
    model = predictor.model
    assert isinstance(model, KerasModel)
    split = Split(model.scaled(np.concatenate(inputs)), label, np.arange(len(label)))
    kind: Any = info["input"]["kind"]
    dataset = Dataset(split, info["task"], "", classes=tuple(info["classes"]), kind=kind,
                      encoding=predictor.inputs.encoding if kind == "table" else None)  # fmt: skip
    return Labelled(dataset, split, " ".join(words), fields)


def _arrays(word: str) -> Any:
    """The labels of an .npz; None of anything else."""
    if not word.lower().endswith(".npz"):
        return None
    arrays = read_arrays(Path(word), (machine.memory() or 2**34) // 2, word)
    for name in ("y", "y_test"):
        if isinstance(arrays, dict) and name in arrays:
            return arrays[name]
    raise DataError("holds no y", where=word, hint="numpy.savez(file, x=…, y=…)")


def _truth(name: str, predictor: Predictor) -> Any:
    """What is true of an input, by its name: the label of a table's row, or the class that its folder names."""
    if isinstance(name, TableRow):
        missing = [label for label in predictor.labels if not name.fields.get(label)]
        if missing:
            raise DataError(f"has no label {missing[0]!r}", where=name, hint="dlx predict takes rows without one")
        values = [name.fields[label] for label in predictor.labels]
        return values if len(values) > 1 else values[0]
    folder = Path(name).parent.name
    if folder in predictor.classes:
        return folder
    hint = f"expected files in folders named {', '.join(predictor.classes[:4])}, a table with its label, or an .npz"
    raise DataError("says no label", where=name, hint=hint)


def _targets(truth: Any, predictor: Predictor, where: str) -> np.ndarray:
    """What is true as a split has it. Raises DataError for what is none of the run's classes, or no number."""
    import numpy as np

    task, classes = predictor.info["task"], predictor.classes
    try:
        if task == "regression":
            return np.asarray(truth, np.float64).reshape(len(truth), -1)
        if task == "multi_label":
            return np.asarray(truth, np.float32).reshape(len(truth), -1)
    except (TypeError, ValueError) as error:
        raise DataError(f"holds labels that are no numbers ({error})", where=where) from error
    array = np.asarray(truth)
    if array.dtype.kind in "iu":
        if array.size and not 0 <= array.min() <= array.max() < len(classes):
            raise DataError(f"holds class {array.max()}, but the run has {len(classes)}", where=where)
        return array.astype(np.int32)
    known = {name: number for number, name in enumerate(classes)}
    strange = sorted({str(value) for value in array.reshape(-1)} - known.keys())
    if strange:
        raise DataError(f"holds the label {strange[0]!r}, but the run has {', '.join(classes[:8])}", where=where)
    return np.array([known[str(value)] for value in array.reshape(-1)], np.int32).reshape(array.shape)
