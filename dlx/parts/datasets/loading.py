"""The registry of datasets, and what every loader needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dlx.data.dataset import Dataset, Facts, Split
from dlx.data.scaling import Scaling
from dlx.errors import DataError
from dlx.parts.registry import Part, Registry

if TYPE_CHECKING:
    import numpy as np

registry = Registry(
    "dataset",
    aliases={
        "cifar": "cifar10",
        "fashionmnist": "fashion_mnist",
        "makemoons": "moons",
        "twomoons": "moons",
        "makecircles": "circles",
        "addition": "binary_addition",
        "makeblobs": "blobs",
        "loaddigits": "digits",
        "loadiris": "iris",
        "imagefolder": "image_folder",
        "imagedirectory": "image_folder",
        "imagedatasetfromdirectory": "image_folder",
        "folder": "image_folder",
        "orgate": "or",
        "andgate": "and",
        "xorgate": "xor",
        "numpy": "npz",
        "table": "csv",
    },
)

FEW = 20  # whole numbers with more distinct values than this are not guessed to be classes

# What is known of a dataset without its arrays: name -> Facts, or a function of its arguments that returns them
# where they say enough. Others are loaded to be checked.
_facts: dict[str, Facts | Callable[..., Facts | None]] = {}


def facts(part: Part) -> Facts | None:
    """What is known of the dataset that `part` names without loading it; None when nothing is."""
    known = _facts.get(part.name)
    return known(**part.args) if callable(known) else known


def know(name: str, known: Facts | Callable[..., Facts | None]) -> None:
    """Say what is known of the dataset `name` before it is loaded."""
    _facts[name] = known


def fingerprint(*arrays: np.ndarray) -> str:
    """A hash of the arrays' bytes, types and shapes; of float64 as float32, unless that is too coarse for it."""
    import numpy as np

    digest = hashlib.sha256()
    for array in arrays:
        whole = np.ascontiguousarray(array)
        if whole.dtype == np.float64 and not Scaling.fit(whole.reshape(len(whole), -1)).coarse.any():
            whole = whole.astype(np.float32)
        digest.update(f"{whole.dtype}{whole.shape}".encode())
        digest.update(whole.data)
    return digest.hexdigest()


def split(inputs: np.ndarray, targets: np.ndarray) -> Split:
    """A split that numbers its rows from 0."""
    import numpy as np

    return Split(inputs, targets, np.arange(len(targets), dtype=np.int64))


def arrays(inputs: Any, targets: Any, classes: Sequence[str], source: str, **rest: Any) -> Dataset:
    """A classification set of one split from in-memory arrays; floats become float32, for they are of moderate size."""
    import numpy as np

    x = np.asarray(inputs)
    with np.errstate(over="ignore"):
        x = x if x.dtype == np.uint8 else x.astype(np.float32)
    y = np.asarray(targets, np.int32)
    return Dataset(split(x, y), "classification", fingerprint(x, y), classes=tuple(classes), source=source, **rest)


def load(part: Part, task: str = "auto", registry: Registry = registry, words: Sequence[str] = ()) -> Dataset:
    """The dataset that `part` names in the registry; `words` are columns of a table that hold words, also where dates.

    Raises DataError when it is missing or damaged.
    """
    dataset: Dataset = registry.make(part, _task=task, _words=words)
    return dataset


def finite(values: Any, what: str, where: str, first: int = 0) -> Any:
    """`values` as an array; raises DataError where one is not finite, or too large for float32.

    `first` is the number of the first row.
    """
    import numpy as np

    numbers = np.asarray(values)
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(numbers) <= np.finfo(np.float32).max)
    if bad := int(wrong.sum()):
        rows = np.flatnonzero(wrong.reshape(len(numbers), -1).any(axis=1)) if numbers.ndim else np.empty(0, int)
        shown = ", ".join(map(str, (rows[:8] + first).tolist())) + " …" * (len(rows) > 8)
        place = f", in row{'s' * (len(rows) > 1)} {shown}" if len(rows) else ""
        is_are = "is" if bad == 1 else "are"
        raise DataError(f"{bad} of the {what} {is_are} NaN, infinite or beyond 3.4e38{place}", where=where)
    return numbers


def guess_task(values: Any, wanted: str, where: str, label: str) -> Any:
    """The task that the targets `values` are for; raises DataError where a guess could be silently wrong."""
    import numpy as np

    if wanted != "auto":
        return wanted
    if values.dtype.kind not in "biuf":
        return "classification"
    several, whole = values.ndim > 1 and values.shape[-1] > 1, bool((np.floor(values) == values).all())
    if several and whole:
        raise DataError(
            f"{label} holds {values.shape[-1]} whole numbers an example: classes of steps, labels or amounts?",
            where=where,
            hint="say which: task: classification (a class a step), multi_label, or regression",
        )
    if several or not whole:
        return "regression"
    distinct = len(np.unique(values))
    if distinct <= FEW and values.min() in (0, 1):
        return "classification"
    raise DataError(
        f"{label} holds whole numbers with {distinct} different values: classes or amounts?",
        where=where,
        hint="say which: task: classification, or task: regression",
    )
