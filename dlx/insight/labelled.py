"""Examples whose labels are known: a run's own split, or files as `predict` takes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.data.dataset import Dataset, Split
from dlx.data.npz import read_arrays
from dlx.errors import DataError
from dlx.inference.prediction import TableRow
from dlx.inference.predictor import KerasModel, Predictor
from dlx.parts.datasets.table_reader import ABSENT, no_column, number, read_table, shape_of
from dlx.system import machine
from dlx.training.experiment import Experiment, chosen_split, prepared_again

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Labelled:
    """Examples as a network takes them, with what is true of them. name: what they are called.

    inputs: what each is called, where they come from files. fields: of a table every row's fields by column; path: else
    the file that has them by row number. values: the names of a regression's targets. notes: what is to know of them;
    changed: whether the data is not what the run was trained on.
    """

    dataset: Dataset
    split: Split
    name: str
    inputs: Sequence[str] = ()
    fields: Sequence[Mapping[str, str]] = ()
    path: str = ""
    values: Sequence[str] = ()
    notes: Sequence[str] = ()
    changed: bool = False

    def place(self, row: int) -> str:
        """How an example is found again: its file, or its number in the split."""
        if self.inputs:
            return self.inputs[row]
        return self.split.place(int(self.split.index[row])) if self.split.place is not None else str(row)

    def column(self, name: str) -> list[str]:
        """The values of a column of the table, as text. Raises DataError where there is none of that name."""
        if self.fields:
            if name not in self.fields[0]:
                raise no_column(name, list(self.fields[0]), "--by")
            return [row[name] for row in self.fields]
        if not self.path:
            raise DataError("is of the rows of a table of columns, and this data is none", where="--by")
        header, _ = shape_of(self.path)
        if name not in header:
            raise no_column(name, header, "--by")
        table = read_table(self.path, [name])
        return [str(value) for value in table[name].iloc[self.split.index]]


def own(predictor: Predictor, split: str | None, again: tuple[Experiment, bool] | None = None) -> Labelled:
    """A split of the run's own data: test, else validation, else train.

    again: the data, as `prepared_again` gives it, where it is loaded already.
    Raises RunError where it has none of that name, DataError where the data cannot be loaded, or is of another shape.
    """
    experiment, changed = again or prepared_again(predictor.run)
    name = chosen_split(predictor.run, experiment, split)
    spec, dataset = experiment.spec, experiment.dataset
    if list(dataset.classes) != predictor.classes or list(dataset.shape) != list(predictor.info["input"]["shape"]):
        raise DataError("the data has other classes or columns by now than the run", where=dataset.source)
    path, notes = "", []
    if spec.dataset.name in ("csv", "text_csv"):
        second = spec.dataset.args.get("test")
        path = str(second if second and name == "test" else spec.dataset.args["path"])
    if changed:
        notes.append(f"the data has changed since the run: its {name} split may hold what the run was trained on")
    elif name == "train":
        notes.append("the run was trained on these examples: they say nothing of others")
    examples, values = experiment.splits.named()[name], predictor.value_names
    return Labelled(dataset, examples, name, path=path, values=values, notes=notes, changed=changed)


def given(predictor: Predictor, words: Sequence[str]) -> Labelled:
    """Files with labels: a table with the column that is predicted, images in folders named as the classes, or arrays
    x and y of an .npz. Raises DataError where a label is missing, or is none of the run's.
    """
    import numpy as np

    if predictor.inputs.kind == "series":
        raise DataError("a series is evaluated on the run's own splits", where=words[0], hint="leave DATA out")
    inputs: list[Any] = []
    targets: list[Any] = []
    called: list[str] = []
    fields: list[Mapping[str, str]] = []
    for word in words:
        kept, row = _arrays(word), 0
        batches, _ = predictor.read([word])
        for names, array in batches:
            said = [_truth(name, word, predictor) for name in names] if kept is None else kept[row : row + len(array)]
            if len(said) < len(array):
                raise DataError(f"holds {len(kept)} labels, fewer than inputs", where=word)
            inputs.append(array)
            targets.append(_targets(said, predictor, names[0]))
            called += map(str, names)
            fields += [name.fields for name in names if isinstance(name, TableRow)]
            row += len(array)
        if kept is not None and len(kept) != row:
            raise DataError(f"holds {len(kept)} labels of {row} inputs", where=word)
    if predictor.skipped:
        raise predictor.skipped[0]
    if not inputs:
        raise DataError("holds no example", where=" ".join(words))
    info, label = predictor.info, np.concatenate(targets)
    model = predictor.model
    assert isinstance(model, KerasModel)
    split = Split(model.scaled(np.concatenate(inputs)), label, np.arange(len(label)))
    kind: Any = info["input"]["kind"]
    encoding = predictor.inputs.encoding if kind == "table" else None
    dataset = Dataset(split, info["task"], "", classes=tuple(info["classes"]), kind=kind, encoding=encoding)
    return Labelled(dataset, split, " ".join(words), called, fields, values=predictor.value_names)


def _arrays(word: str) -> Any:
    """The labels of an .npz; None of anything else."""
    if not word.lower().endswith(".npz"):
        return None
    arrays = read_arrays(Path(word), (machine.memory() or 2**34) // 2, word)
    for name in ("y", "y_test"):
        if isinstance(arrays, dict) and name in arrays and arrays[name].ndim:
            return arrays[name]
    raise DataError("holds no y", where=word, hint="numpy.savez(file, x=…, y=…)")


def _truth(name: str, word: str, predictor: Predictor) -> Any:
    """What is true of an input: the label of a table's row, or the class that an image's folder or name says."""
    if isinstance(name, TableRow):
        for label in predictor.labels:
            if name.fields.get(label, "") in ABSENT:
                hint = "dlx predict takes rows without one"
                raise DataError(f"has no label {label!r}", where=name, hint=hint)
        values = [name.fields[label] for label in predictor.labels]
        return values if len(values) > 1 else values[0]
    path, by = Path(name), predictor.info["settings"].get("dataset.image_folder.labels", "folder")
    below = path.relative_to(word).parts[:-1] if Path(word).is_dir() else ()
    folders = [path.name.partition(".")[0]] if by == "filename" else [*below[:1], path.resolve().parent.name]
    for folder in folders:
        if folder in predictor.classes:
            return folder
    expected = "names as cat.0.png" if by == "filename" else f"folders named {', '.join(predictor.classes[:4])}"
    raise DataError("says no label", where=name, hint=f"expected {expected}; or a table with its label, or an .npz")


def _targets(truth: Any, predictor: Predictor, where: str) -> np.ndarray:
    """What is true as a split has it. Raises DataError for what is none of the run's classes, or no number."""
    import numpy as np

    array, shape = np.asarray(truth), predictor.label_shape
    if array.shape[1:] != shape and array.shape[1:] in ((1,), ()) and shape in ((1,), ()):
        array = array.reshape(len(array), *shape)
    if array.shape[1:] != shape:
        raise DataError(f"holds labels of the shape {array.shape[1:]}, expected {shape} each", where=where)
    if predictor.info["task"] == "classification":
        return _classes(array, predictor.classes, where)
    try:
        numbers = np.array([number(str(value)) for value in array.reshape(-1)]).reshape(array.shape)
    except ValueError as error:
        raise DataError(f"holds a label that is no number ({error})", where=where) from error
    if not np.isfinite(numbers).all():
        raise DataError("holds a label that is not finite", where=where)
    if predictor.info["task"] == "multi_label" and not np.isin(numbers, (0, 1)).all():
        raise DataError("holds a label that is neither 0 nor 1", where=where)
    return numbers.astype(np.float32) if predictor.info["task"] == "multi_label" else numbers


def _classes(array: np.ndarray, classes: Sequence[str], where: str) -> np.ndarray:
    """The numbers of classes, which are named; whole numbers that name none are their positions."""
    import numpy as np

    if array.dtype.kind == "b" or (array.dtype.kind == "f" and not (array % 1).any()):
        array = array.astype(np.int64)
    place = {name: position for position, name in enumerate(classes)}
    named = all(re.fullmatch(r"-?\d+", name) for name in classes)
    if array.dtype.kind in "iu" and not named:
        if array.size and not 0 <= array.min() <= array.max() < len(classes):
            wrong = array.min() if array.min() < 0 else array.max()
            raise DataError(f"holds class {wrong}, expected 0 to {len(classes) - 1}", where=where)
        return array.astype(np.int32)
    texts = [str(value).strip() for value in array.reshape(-1)]
    if named:
        texts = [text[:-2] if text.endswith(".0") else text for text in texts]
    strange = sorted({*texts} - place.keys())
    if strange:
        raise DataError(f"holds the label {strange[0]!r}, but the run has {', '.join(classes[:8])}", where=where)
    return np.array([place[text] for text in texts], np.int32).reshape(array.shape)
