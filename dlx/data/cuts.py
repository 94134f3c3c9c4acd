"""Which examples are cut off for test and validation: by a share, or fold by fold, with a seed of their own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dlx.data.dataset import Dataset, Split
from dlx.data.splits import Splits
from dlx.errors import DataError

if TYPE_CHECKING:
    import numpy as np


FOLD = r"^fold [1-9][0-9]{0,2} of [1-9][0-9]{0,2}$"  # a spec's `validation`: one of so many equal parts of train


def fold_of(validation: Any) -> tuple[int, int] | None:
    """(which fold, of how many) a spec's `validation` is; None where it is no fold."""
    if not (isinstance(validation, str) and re.match(FOLD, validation)):
        return None
    number, folds = map(int, re.findall("[0-9]+", validation))
    return number, folds


def cut(dataset: Dataset, test: Any, validation: Any, seed: int = 0) -> Splits:
    """Cut the splits as the spec's `test` and `validation` set; each example is in one of them.

    test: "auto" (the dataset's own), "none" or a share; validation: "test", "none", a share of train, or "fold 1 of 5".
    seed: not the run's, so that repeats of a spec share their splits.
    Raises DataError, with the address in `where`, when a split would be empty.
    """
    train, held_out = dataset.train, dataset.test if test == "auto" else None
    stratify = dataset.task == "classification" and dataset.train.targets.ndim == 1
    if isinstance(test, float):
        train, held_out = _share(train, test, stratify, ("test", seed), dataset.gap)
    if validation == "test":
        if held_out is None:
            raise DataError("there is no test split to validate on", where="validation", hint="test: 0.2 cuts one off")
        return Splits(train, held_out, held_out, test_is_validation=True)
    validated = None
    if (chosen := fold_of(validation)) is not None:
        train, validated = _fold(train, chosen, stratify, seed, dataset.gap)
    elif isinstance(validation, float):
        train, validated = _share(train, validation, stratify, ("validation", seed), dataset.gap)
    return Splits(train, validated, held_out)


def _share(whole: Split, share: float, stratify: bool, name: tuple[str, int], gap: int | None) -> tuple[Split, Split]:
    """(the rest, the share), both in the order of their rows; by class where there are classes, groups undivided.

    With a `gap` the share is the end, and as many examples before it are left out.
    """
    import numpy as np

    count, (split, _) = round(len(whole) * share), name
    if not 0 < count < len(whole):
        raise DataError(
            f"{share} of {len(whole)} examples leaves {'none' if count == 0 else 'no others'}",
            where=split,
            hint=f"{split}: none, or a {'larger' if count == 0 else 'smaller'} share",
        )
    if gap is not None:
        if name[1]:
            message = "a series is cut by time, so that another seed is the same cut"
            raise DataError(message, where="split_seed", hint="--repeat repeats it with other seeds")
        rest = len(whole) - count - gap
        if rest < 1:
            raise DataError(f"{share} of {len(whole)} examples, and a gap of {gap}, leaves no others", where=split)
        return whole.take(np.arange(rest)), whole.take(np.arange(len(whole) - count, len(whole)))
    order = _order(whole, stratify and whole.groups is None, name)
    picked = np.zeros(len(whole), bool)
    if whole.groups is None:
        picked[order[:count]] = True
    else:  # whole groups, in a random order, as long as they come nearer to the share
        for group in dict.fromkeys(whole.groups[order].tolist()):
            more = int((whole.groups == group).sum())
            if abs(picked.sum() + more - count) < abs(picked.sum() - count):
                picked[whole.groups == group] = True
        if picked.all() or not picked.any():
            raise DataError(f"{share} of the groups leaves none, or no others", where=split, hint="another share")
    return _divided(whole, picked)


def _fold(whole: Split, chosen: tuple[int, int], stratify: bool, seed: int, gap: int | None) -> tuple[Split, Split]:
    """(the rest, the fold), both in the order of their rows; the folds of one seed have every example once.

    chosen: which fold, from 1, of how many.
    """
    import numpy as np

    number, folds = chosen
    if gap is not None:
        message = "a series has no folds: each would be trained on what follows it"
        raise DataError(message, where="validation", hint="validation: 0.2 is its end")
    pieces = len(whole) if whole.groups is None else len(np.unique(whole.groups))
    if folds > pieces:
        noun = "examples" if whole.groups is None else "groups"
        raise DataError(f"{folds} folds need as many {noun}, and there are {pieces:,}", where="validation")
    order = _order(whole, stratify and whole.groups is None, ("validation", seed))
    if whole.groups is None:
        fold = np.array_split(order, folds)[number - 1]
    else:
        fold = np.flatnonzero(_grouped(whole, order, stratify, folds) == number - 1)
    picked = np.zeros(len(whole), bool)
    picked[fold] = True
    return _divided(whole, picked)


def _divided(whole: Split, picked: np.ndarray) -> tuple[Split, Split]:
    """(the rest, what is picked), both in the order of their rows."""
    return whole.take((~picked).nonzero()[0]), whole.take(picked.nonzero()[0])


def _grouped(whole: Split, order: np.ndarray, stratify: bool, folds: int) -> np.ndarray:
    """The fold of each example, from 0: the largest group first, each where the folds stay most alike.

    Alike by their sizes, and where there are classes by the counts of each class.
    """
    import numpy as np

    assert whole.groups is not None
    groups, labels = whole.groups, whole.targets if stratify else np.zeros(len(whole), np.int64)
    counts: dict[Any, np.ndarray] = {}
    classes = int(labels.max()) + 1
    for group in dict.fromkeys(groups[order].tolist()):
        counts[group] = np.bincount(labels[groups == group], minlength=classes)
    share = np.maximum(np.bincount(labels, minlength=classes), 1)
    held, fold = np.zeros((folds, classes)), np.zeros(len(whole), np.int64)
    for group in sorted(counts, key=lambda group: -int(counts[group].sum())):
        best = min(range(folds), key=lambda place: _unlike(held, place, counts[group], share))
        held[best] += counts[group]
        fold[groups == group] = best
    return fold


def _unlike(held: np.ndarray, place: int, more: np.ndarray, share: np.ndarray) -> tuple[float, float]:
    """How unlike the folds are once one of them has `more`: by class, then by size."""
    after = held.copy()
    after[place] += more
    return round(float((after / share).std(axis=0).mean()), 12), float(after.sum(axis=1).std())


def _order(whole: Split, stratify: bool, name: tuple[str, int]) -> np.ndarray:
    """The positions of the examples in a random order, of which every piece holds each class in its share."""
    import numpy as np

    split, seed = name
    order = np.random.default_rng([seed, 1 if split == "test" else 2]).permutation(len(whole))
    return _spread(order, np.asarray(whole.targets)[order]) if stratify else order


def _spread(order: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`order` rearranged so that every prefix holds each class in its share of the whole."""
    import numpy as np

    place = np.empty(len(order))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return order[np.argsort(place, kind="stable")]
