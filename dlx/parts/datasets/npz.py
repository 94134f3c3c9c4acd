"""Arrays of your own: .npz files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.data.dataset import Dataset, Split
from dlx.data.npz import read_arrays
from dlx.data.scaling import narrowed
from dlx.errors import DataError
from dlx.parts.datasets.loading import fingerprint, finite, guess_task, registry, split
from dlx.parts.registry import FilePath
from dlx.system import machine

MOST_CLASSES = 100_000


@registry.register
def npz(path: FilePath, _task: str = "auto") -> Dataset:
    """Arrays saved by numpy.savez: x and y, or x_train, y_train and, if there is one, x_test, y_test.

    x: (n, …) numbers; y: (n,) whole numbers from 0 for classes, or (n,) or (n, k) values for a regression, or
    (n, k) zeros and ones, with `task: multi_label`, for several labels an example.
    """
    arrays = read_arrays(Path(path), (machine.memory() or 2**34) // 2, str(path))
    if not isinstance(arrays, dict):
        raise DataError("is a single array; expected a .npz, made by numpy.savez", where=str(path))
    return from_arrays(arrays, _task, str(path), Path(path).name)


def from_arrays(arrays: Mapping[str, Any], _task: str, where: str, source: str = "") -> Dataset:
    """The dataset of arrays by name, as `npz` reads them; `where` is what a message names."""
    import numpy as np

    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    x, y = ("x_train", "y_train") if "x_train" in arrays else ("x", "y")
    if x not in arrays or y not in arrays:
        raise DataError(
            f"expected arrays x and y, or x_train and y_train; it holds {', '.join(arrays) or 'nothing'}", where=where
        )
    if arrays[y].ndim == 0 or not arrays[y].size:
        raise DataError(f"{y} has the shape {arrays[y].shape}, expected (n,) or (n, k)", where=where)
    names: list[str] = []
    if arrays[y].dtype.kind in "US" and arrays[y].ndim == 1:  # classes by their names
        names = _numbered(arrays, [key for key in (y, "y_test") if key in arrays], where)
    task = "classification" if names else guess_task(arrays[y], _task, where, "y")
    train, test = _array_split(arrays[x], arrays[y], task, where), None
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise DataError("expected x_test and y_test both, or neither", where=where)
    if "x_test" in arrays and "y_test" in arrays:
        test = _array_split(arrays["x_test"], arrays["y_test"], task, where, "test")
    if test is not None:
        for name, other in (("inputs", x), ("targets", y)):
            first, second = getattr(train, name), getattr(test, name)
            if second.shape[1:] != first.shape[1:]:
                raise DataError(
                    f"{other[0]}_test holds {second.shape[1:]}, {other} holds {first.shape[1:]}", where=where
                )
        train, test = _of_one_dtype(train, test, where)
    classes: tuple[str, ...] = ()
    if task == "classification":
        highest = int(train.targets.max())
        if test is not None and int(test.targets.max()) > highest:
            raise DataError(f"y_test holds classes that {y} has not: {int(test.targets.max())}", where=where)
        classes = tuple(names or (str(number) for number in range(highest + 1)))
    if task == "multi_label":
        classes = tuple(str(number) for number in range(train.targets.shape[1]))
    hashed = (train.inputs, train.targets) + ((test.inputs, test.targets) if test else ())
    kind = "image" if train.inputs.ndim == 4 and train.inputs.shape[-1] in (1, 3) else "array"
    return Dataset(train, task, fingerprint(*hashed), test=test, classes=classes, kind=kind, source=source or where)  # type: ignore[arg-type]


def _numbered(arrays: dict[str, Any], keys: Sequence[str], where: str) -> list[str]:
    """The names of the classes, in order; the arrays `keys` become their numbers."""
    import numpy as np

    for key in keys:
        if arrays[key].dtype.kind not in "US" or arrays[key].ndim != 1:
            actual = f"{key} holds {arrays[key].dtype} of shape {arrays[key].shape}"
            raise DataError(f"{actual}, expected names of classes, as {keys[0]} does", where=where)
        if arrays[key].dtype.kind == "S":
            arrays[key] = np.char.decode(arrays[key], "utf-8", "replace")
    whole = np.concatenate([arrays[key] for key in keys])
    names, numbers = np.unique(whole, return_inverse=True)
    if len(names) > MOST_CLASSES:
        raise DataError(
            f"{keys[0]} holds {len(names):,} names of classes, expected {MOST_CLASSES:,} at most", where=where
        )
    start = 0
    for key in keys:
        arrays[key], start = numbers[start : start + len(arrays[key])], start + len(arrays[key])
    return [str(name) for name in names]


def _of_one_dtype(train: Split, test: Split, where: str) -> tuple[Split, Split]:
    """Both splits with inputs of one dtype: bytes beside other numbers are an error, as their scales would differ."""
    import numpy as np

    first, second = (np.asarray(split.inputs) for split in (train, test))
    common = np.float64 if np.float64 in (first.dtype, second.dtype) else np.float32
    if first.dtype == second.dtype:
        return train, test
    if np.uint8 in (first.dtype, second.dtype):
        raise DataError(
            f"x_test holds {second.dtype}, train holds {first.dtype}: their scales may differ",
            where=where,
            hint="save both with the same dtype",
        )
    return (
        Split(first.astype(common), train.targets, train.index),
        Split(second.astype(common), test.targets, test.index),
    )


def _array_split(inputs: Any, targets: Any, task: str, where: str, name: str = "train") -> Split:
    import numpy as np

    x, y = np.asarray(inputs), np.asarray(targets)
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or not x.size or not y.size:
        raise DataError(
            f"inputs of shape {x.shape} and targets of shape {y.shape}; expected the same number of both", where=where
        )
    if x.dtype.kind not in "biuf" or y.dtype.kind not in "biuf":
        raise DataError(f"expected numbers, got {x.dtype} and {y.dtype}", where=where)
    if x.ndim == 1:
        x = x[:, None]
    if x.dtype.kind == "i" and x.ndim == 2 and x.min() >= -(2**24) and x.max() <= 2**24:  # float32 holds these
        x = x.astype(np.int32)  # tokens stay whole numbers
    elif x.dtype != np.uint8:
        x = narrowed(finite(x, f"{name} inputs", where))
    if task == "classification":
        y = y.reshape(len(y)) if y.size == len(y) else y
        whole = np.isfinite(y).all() and (np.floor(y) == y).all()
        if y.ndim > 2 or not whole or y.min() < 0 or y.max() >= MOST_CLASSES:
            raise DataError(
                f"expected one class number an example (or a step), whole, from 0 to {MOST_CLASSES - 1:,} at most",
                where=where,
                hint="or write task: regression",
            )
        return split(x, y.astype(np.int32))
    if task == "multi_label" and (y.ndim != 2 or not np.isin(y, (0, 1)).all()):
        raise DataError(
            f"expected a column of zeros and ones for each label, got {'other values' if y.ndim == 2 else y.shape}",
            where=where,
        )
    values = finite(y, "targets", where).reshape(len(y), -1)
    return split(x, values.astype(np.float32 if task == "multi_label" else np.float64))
