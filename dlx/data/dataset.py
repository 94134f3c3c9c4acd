"""Dataset: named arrays, or a stream, with stable row numbers, targets, a task, class names and a fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from dlx.data.encoding import Encoding
from dlx.data.scaling import Scaling

if TYPE_CHECKING:
    import numpy as np

Task = Literal["classification", "regression", "multi_label"]


class Stream:
    """Inputs that stay on disk: it is indexed like an array (n, *shape), and reads only the rows that are asked for.

    read: row numbers of the source -> (rows, *shape); rows: which of them these are, in order. keys: (source,) uint64,
    equal where two rows of the source are, if that is known without reading them.
    """

    def __init__(
        self,
        read: Callable[[Any], np.ndarray],
        rows: np.ndarray,
        shape: tuple[int, ...],
        dtype: Any,
        keys: np.ndarray | None = None,
    ) -> None:
        self.read, self.rows, self.dtype, self.keys = read, rows, dtype, keys
        self.shape = (len(rows), *shape)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: Any) -> np.ndarray:
        picked = self.rows[which]
        array: np.ndarray = self.read(picked) if picked.ndim else self.read(picked[None])[0]
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All rows in memory, where no less will do."""
        return self[:] if dtype is None else self[:].astype(dtype)

    def take(self, which: np.ndarray) -> Stream:
        """The same at the positions `which`; reads nothing."""
        return Stream(self.read, self.rows[which], self.shape[1:], self.dtype, self.keys)

    def mapped(self, convert: Callable[[np.ndarray], np.ndarray]) -> Stream:
        """The same with every row that is read converted to float32 of the same shape."""
        import numpy as np

        return Stream(lambda rows: convert(self.read(rows)), self.rows, self.shape[1:], np.dtype(np.float32), self.keys)


def padded(rows: np.ndarray, size: int) -> np.ndarray:
    """Rows with blank ones after them, `size` in all: XLA compiles one size once."""
    import numpy as np

    return (
        np.concatenate([rows, np.zeros((size - len(rows), *rows.shape[1:]), rows.dtype)]) if len(rows) < size else rows
    )


class Table(Mapping[str, "np.ndarray"]):
    """Named columns of a table that stays on disk; a column is read when it is asked for."""

    def __init__(self, columns: Mapping[str, np.ndarray], rows: np.ndarray) -> None:
        self._columns, self.rows = columns, rows

    def __getitem__(self, name: str) -> np.ndarray:
        column: np.ndarray = self._columns[name][self.rows]
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def take(self, which: np.ndarray) -> Table:
        """The same at the positions `which`; reads nothing."""
        return Table(self._columns, self.rows[which])


@dataclass(frozen=True, eq=False)
class Split:
    """Examples, in the order of their row numbers.

    inputs: (n, *shape), as stored (images stay uint8, 0..255, channels last), or a Stream; or, of what is still to be
        encoded, named columns (n,)
    targets: (n,) int32 class numbers, or (n, steps); (n, k) float64 values; or labels, (n, k) float32 of 0 and 1
    index: (n,) int64 row numbers in the source, stable whatever is split off or left out
    groups: (n,) what no cut divides: the examples of one value stay together; None where each stands alone
    place: a row number -> where the example lies, as a file's path in its folder; None where there is no such place
    """

    inputs: Any
    targets: np.ndarray
    index: np.ndarray
    groups: np.ndarray | None = None
    place: Callable[[int], str] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: np.ndarray) -> Split:
        """The examples at the positions `rows`, copied out of whatever file is behind them, unless they stay there."""
        inputs: Any = self.inputs
        if isinstance(inputs, (Stream, Table)):
            inputs = inputs.take(rows)
        else:
            named = isinstance(inputs, Mapping)
            inputs = {name: column[rows] for name, column in inputs.items()} if named else inputs[rows]
        groups = None if self.groups is None else self.groups[rows]
        return Split(inputs, self.targets[rows], self.index[rows], groups, self.place)


@dataclass(frozen=True, eq=False)
class Reading:
    """How a person reads an example: an input as text, and class number, labels or values, if they mean something."""

    example: Callable[[Any], str]
    answer: Callable[[Any], str] | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a spec's `dataset` names, loaded.

    test: the data set's own test split, if it has one.
    source: where the arrays came from, in words a person can read ("scikit-learn", "cifar10-jpeg.tar.xz").
    encoding: of tables, texts and series, how a row becomes numbers.
    fit: the inputs of the train split -> what `encoding` still lacks, by field.
    encode: (inputs, encoding) -> (n, *shape).
    input_scaling: how float64 inputs became float32 ones, where they did.
    gap: examples follow one another in time: a split is cut off at the end, `gap` examples after the rest.
    reading: how its examples are shown as text, where that says more than their number.
    skipped: files that could not be read and were passed over, as the spec allowed. unlabelled: rows without a label.
    """

    train: Split
    task: Task
    fingerprint: str
    test: Split | None = None
    classes: tuple[str, ...] = ()
    kind: Literal["image", "table", "text", "series", "array"] = "array"
    source: str = ""
    encoding: Encoding | None = None
    fit: Callable[[Any], dict[str, Any]] | None = None
    encode: Callable[..., np.ndarray] | None = None
    input_scaling: Scaling | None = None
    gap: int | None = None
    skipped: tuple[str, ...] = ()
    unlabelled: int = 0
    reading: Reading | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input, without the batch axis."""
        return tuple(self.train.inputs.shape[1:])


@dataclass(frozen=True)
class Facts:
    """What is known of a dataset before its arrays are loaded: enough to check a spec.

    steps: how many class numbers an example has, one for each step of a sequence; 0 where it has one.
    """

    shape: tuple[int, ...]
    task: Task
    classes: tuple[str, ...]
    targets: int = 1
    integer: bool = False
    steps: int = 0

    def as_values(self) -> Facts:
        """The same of classes that are numbers as values to predict; itself where one is a word."""
        if not _numbers(self.classes):
            return self
        return replace(self, task="regression", classes=(), targets=self.steps or 1, steps=0)

    @classmethod
    def of(cls, dataset: Dataset) -> Facts:
        targets = dataset.train.targets
        width = targets.shape[1] if targets.ndim > 1 else 1
        tokens = dataset.train.inputs.dtype.name in ("int32", "int64")
        steps = width if dataset.task == "classification" and targets.ndim > 1 else 0
        return cls(dataset.shape, dataset.task, dataset.classes, 1 if steps else width, tokens, steps)


def _numbers(classes: Sequence[str]) -> list[float] | None:
    """The classes as numbers; None where one is a word."""
    try:
        return [float(name) for name in classes]
    except ValueError:
        return None


def as_values(dataset: Dataset) -> Dataset:
    """Classes that are numbers as values to predict; the same where one is a word."""
    import numpy as np

    if (numbers := _numbers(dataset.classes)) is None:
        return dataset

    def values(split: Split | None) -> Split | None:
        if split is None:
            return None
        targets = np.array(numbers)[split.targets]
        return replace(split, targets=targets if targets.ndim > 1 else targets[:, None])

    train = values(dataset.train)
    assert train is not None
    return replace(dataset, train=train, test=values(dataset.test), task="regression", classes=())
