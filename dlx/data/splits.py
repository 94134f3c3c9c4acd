"""The splits of a run, and how they become what the engine trains on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from dlx.data.dataset import Dataset, Split, Stream, Table
from dlx.data.encoding import Encoding
from dlx.data.scaling import COARSE, Scaling, moments, pieces_of, unsure
from dlx.errors import DataError
from dlx.system import machine
from dlx.system.units import byte_size

if TYPE_CHECKING:
    import numpy as np

First = Literal["", "scalar", "columns", "never"]  # what a spec's first preprocessing takes statistics of


@dataclass(frozen=True, eq=False)
class Splits:
    """The three splits of a run; validation may be the test split itself."""

    train: Split
    validation: Split | None
    test: Split | None
    test_is_validation: bool = False

    def named(self) -> dict[str, Split]:
        """The splits that there are, by their names."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in named.items() if split is not None}

    def sizes(self) -> dict[str, int]:
        return {name: len(split) for name, split in self.named().items()}


def encoded(dataset: Dataset, splits: Splits) -> tuple[Dataset, Splits]:
    """Both with arrays for inputs: what a dataset still has to fit is fitted on the train split alone."""
    import numpy as np

    if dataset.encode is None:
        return dataset, splits
    fitted = dataset.fit(splits.train.inputs) if dataset.fit else {}
    encoding, encode = replace(dataset.encoding or Encoding(), **fitted), dataset.encode
    in_memory = sum(len(split) for split in splits.named().values() if not isinstance(split.inputs, Table))
    if in_memory and (there := machine.memory()) is not None:
        one = encode({name: values[:1] for name, values in splits.train.inputs.items()}, encoding)
        if 2 * in_memory * one.nbytes > there:
            size = f"{in_memory:,} examples of {one[0].size:,} numbers take {byte_size(in_memory * one.nbytes)}"
            hint = "fewer different words or shorter texts; in_memory: false leaves a table on disk"
            raise DataError(f"{size}, too much for a memory of {byte_size(there)}", where="dataset", hint=hint)

    def arrays(split: Split | None) -> Split | None:
        if split is None or not isinstance(split.inputs, Table):
            return split and replace(split, inputs=encode(split.inputs, encoding), groups=None)
        whole = split.inputs
        first = encode(whole.take(np.arange(1)), encoding)
        rows = np.arange(len(split))
        inputs = Stream(lambda rows: encode(whole.take(rows), encoding), rows, first.shape[1:], first.dtype)
        return replace(split, inputs=inputs, groups=None)

    train = arrays(splits.train)
    assert train is not None
    validation = arrays(splits.validation)
    test = validation if splits.test_is_validation else arrays(splits.test)
    whole = replace(dataset, train=train, test=test, encoding=encoding, fit=None, encode=None)
    return whole, Splits(train, validation, test, splits.test_is_validation)


def scaled_inputs(dataset: Dataset, splits: Splits, first: First, names: Sequence[str] = ()) -> tuple[Dataset, Splits]:
    """Both with float32 inputs: float64 ones are scaled first, as the spec's first preprocessing would.

    first: what that preprocessing takes statistics of; "" where it takes none; "never" to leave that to the network,
    however coarse float32 is. names: of the columns, for a message.
    Raises DataError where float32 is too coarse for inputs that nothing scales.
    """
    inputs = splits.train.inputs
    if inputs.dtype != "float64" and not (
        inputs.dtype in ("float32", "int32")
        and first in ("scalar", "columns")
        and unsure(*moments(pieces_of(inputs), first == "scalar"))
    ):
        return dataset, splits
    scaling = Scaling.fit(inputs, scalar=first == "scalar") if first in ("scalar", "columns") else None
    if first in ("", "scalar"):
        _refuse_coarse(Scaling.fit(inputs), names, scaling)
    convert = scaling.apply if scaling is not None else _float32

    def converted(split: Split | None) -> Split | None:
        if split is None:
            return None
        if isinstance(split.inputs, Stream):
            return replace(split, inputs=split.inputs.mapped(convert))
        return replace(split, inputs=convert(split.inputs))

    train = converted(splits.train)
    assert train is not None
    validation = converted(splits.validation)
    test = validation if splits.test_is_validation else converted(splits.test)
    whole = replace(dataset, train=train, test=test, input_scaling=scaling)
    return whole, Splits(train, validation, test, splits.test_is_validation)


def _float32(values: Any) -> np.ndarray:
    import numpy as np

    with np.errstate(over="ignore"):
        return np.asarray(values).astype(np.float32)


def _refuse_coarse(scaling: Scaling, names: Sequence[str], common: Scaling | None) -> None:
    """Raise DataError for columns of which float32 would keep too little, as they are or scaled by `common`."""
    import numpy as np

    if common is None:
        columns = np.flatnonzero(scaling.coarse)
    else:  # where a column lies in the common scale, the nearest float32 is half of 2**-23 of its size away
        size = np.abs(common.apply(scaling.mean)) * 2.0**-24
        columns = np.flatnonzero(scaling.varies & (size * common.deviation > COARSE * scaling.deviation))
    if not len(columns):
        return
    shown = []
    for column in columns[:4]:
        name = f"column {names[column]!r}" if column < len(names) else f"input {column}"
        shown.append(f"{name} ({scaling.mean[column]:.6g} ± {scaling.deviation[column]:.3g})")
    more = f" and {len(columns) - 4} more" if len(columns) > 4 else ""
    raise DataError(
        f"float32, in which networks compute, is too coarse for {', '.join(shown)}{more}",
        hint="preprocess: [normalize] scales each column in float64 first",
    )


def mean_error(train: Split, judged: Split) -> float:
    """How far off on average the mean of the train split is, as an answer to each example of another: its mae."""
    import numpy as np

    mean = np.asarray(train.targets, np.float64).mean(axis=0)
    return float(np.abs(np.asarray(judged.targets, np.float64) - mean).mean())


def majority_share(split: Split, classes: int) -> float:
    """What always guessing the most frequent class would score on the split."""
    import numpy as np

    return float(np.bincount(split.targets.reshape(-1), minlength=classes).max() / split.targets.size)
