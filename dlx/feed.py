"""From a Dataset to what the engine eats: splits cut once, with a seed of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dlx.dataset import Dataset, Split, Stream, Table
from dlx.errors import DataError

if TYPE_CHECKING:
    import numpy as np

# Splits do not follow the run's seed, so that repeats of a spec share them.
SPLIT_SEED = 0


@dataclass(frozen=True, eq=False)
class Splits:
    """The three splits of a run; validation may be the test split itself."""

    train: Split
    validation: Split | None
    test: Split | None
    test_is_validation: bool = False

    def sizes(self) -> dict[str, int]:
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: len(split) for name, split in named.items() if split is not None}


def cut(dataset: Dataset, test: Any, validation: Any) -> Splits:
    """Cut the splits as the spec's `test` and `validation` say; each example lands in one of them.

    test: "auto" (the dataset's own), "none" or a share; validation: "test", "none" or a share of train.
    Raises DataError, with the address in `where`, when a share leaves a split empty.
    """
    train, held_out = dataset.train, dataset.test if test == "auto" else None
    gap = dataset.gap
    stratify = dataset.task == "classification" and dataset.train.targets.ndim == 1
    if isinstance(test, float):
        train, held_out = _cut(train, test, stratify, "test", gap)
    if validation == "test":
        if held_out is None:
            raise DataError("there is no test split to validate on", where="validation", hint="test: 0.2 cuts one off")
        return Splits(train, held_out, held_out, test_is_validation=True)
    checked = None
    if isinstance(validation, float):
        train, checked = _cut(train, validation, stratify, "validation", gap)
    return Splits(train, checked, held_out)


def encoded(dataset: Dataset, splits: Splits) -> tuple[Dataset, Splits]:
    """Both with arrays for inputs: what a dataset still has to fit is fitted on the train split alone."""
    import numpy as np

    if dataset.encode is None:
        return dataset, splits
    encoding = {**dataset.encoding, **(dataset.fit(splits.train.inputs) if dataset.fit else {})}
    encode = dataset.encode

    def arrays(split: Split | None) -> Split | None:
        if split is None or not isinstance(split.inputs, Table):
            return split and Split(encode(split.inputs, encoding), split.targets, split.index)
        whole = split.inputs
        first = encode(whole.take(np.arange(1)), encoding)
        rows = np.arange(len(split))
        inputs = Stream(lambda rows: encode(whole.take(rows), encoding), rows, first.shape[1:], first.dtype)
        return Split(inputs, split.targets, split.index)

    train = arrays(splits.train)
    assert train is not None
    validation = arrays(splits.validation)
    test = validation if splits.test_is_validation else arrays(splits.test)
    whole = replace(dataset, train=train, test=test, encoding=encoding, fit=None, encode=None)
    return whole, Splits(train, validation, test, splits.test_is_validation)


def _cut(whole: Split, share: float, stratify: bool, name: str, gap: int | None) -> tuple[Split, Split]:
    """(the rest, the share), both in the order of their rows; by class where there are classes.

    With a `gap` the share is the end, and as many examples before it are left out.
    """
    import numpy as np

    count = round(len(whole) * share)
    if not 0 < count < len(whole):
        raise DataError(
            f"{share} of {len(whole)} examples leaves {'none' if count == 0 else 'no others'}",
            where=name,
            hint=f"{name}: none, or a {'larger' if count == 0 else 'smaller'} share",
        )
    if gap is not None:
        rest = len(whole) - count - gap
        if rest < 1:
            raise DataError(f"{share} of {len(whole)} examples, and a gap of {gap}, leaves no others", where=name)
        return whole.take(np.arange(rest)), whole.take(np.arange(len(whole) - count, len(whole)))
    generator = np.random.default_rng([SPLIT_SEED, 1 if name == "test" else 2])
    order = generator.permutation(len(whole))
    if stratify:
        order = _spread(order, np.asarray(whole.targets)[order])
    picked = np.zeros(len(whole), bool)
    picked[order[:count]] = True
    return whole.take(np.flatnonzero(~picked)), whole.take(np.flatnonzero(picked))


def _spread(order: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`order` rearranged so that every prefix holds each class in its share of the whole."""
    import numpy as np

    place = np.empty(len(order))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return order[np.argsort(place, kind="stable")]


def commonest(split: Split, classes: int) -> float:
    """What always guessing the commonest class would score on the split."""
    import numpy as np

    return float(np.bincount(split.targets.reshape(-1), minlength=classes).max() / split.targets.size)


def check_finite(splits: Splits) -> None:
    """Raise DataError when an input or a target is NaN or infinite."""
    import numpy as np

    for name, split in (("train", splits.train), ("validation", splits.validation), ("test", splits.test)):
        if split is None:
            continue
        for what, array in (("inputs", split.inputs), ("targets", split.targets)):
            if isinstance(array, Stream):  # what is encoded is finite, or an error
                continue
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                bad = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
                first = int(split.index[bad[0]])
                raise DataError(
                    f"{len(bad)} of the {name} {what} hold NaN or infinite values, the first in row {first}"
                )
