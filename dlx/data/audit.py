"""What is wrong with data, or questionable though it can be trained on: values, classes, examples in two splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from dlx.data.dataset import Dataset, Split, Stream
from dlx.data.encoding import Encoding
from dlx.data.splits import Splits
from dlx.errors import DataError

if TYPE_CHECKING:
    import numpy as np

SHOWN = 8
FEW_COLUMNS = 8  # a table of more is not looked through for how often its values meet by chance


def check_finite(splits: Splits) -> None:
    """Raise DataError, with all problems, when an input or a target is NaN or infinite."""
    import numpy as np

    problems = []
    for name, split in splits.named().items():
        for what, array in (("inputs", split.inputs), ("targets", split.targets)):
            if isinstance(array, Stream):  # what is encoded is finite, or an error
                continue
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                bad = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
                rows = ", ".join(str(int(row)) for row in split.index[bad[:SHOWN]]) + " …" * (len(bad) > SHOWN)
                first = "the first in row" if len(bad) == 1 else "in the rows"
                problems.append(f"{len(bad)} of the {name} {what} hold NaN or infinite values, {first} {rows}")
    if problems:
        raise DataError("; ".join(problems))


@dataclass(frozen=True)
class Findings:
    """What is questionable with the data, though it can be trained on.

    unseen: the classes without an example in train; shared: by split, the row numbers of the examples that are in
    train, too; chance: the splits of which as many are to be expected, as a table's few columns have few values.
    """

    unseen: tuple[str, ...] = ()
    shared: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    chance: tuple[str, ...] = ()

    def lines(self, sizes: Mapping[str, int]) -> list[str]:
        """Each finding in words; `sizes` of the splits."""
        lines = []
        if self.unseen:
            names = ", ".join(self.unseen[:SHOWN]) + " …" * (len(self.unseen) > SHOWN)
            lines.append(f"no example of {names} is in train")
        for name, rows in self.shared.items():
            if name in self.chance:
                continue
            shown = ", ".join(map(str, rows[:SHOWN])) + " …" * (len(rows) > SHOWN)
            which = f"row{'s' * (len(rows) > 1)} {shown}"
            lines.append(f"{len(rows):,} of the {sizes[name]:,} {name} examples are in train, too: {which}")
        return lines

    def remarks(self, sizes: Mapping[str, int]) -> list[str]:
        """What is worth to know, and no reason to worry."""
        end = "equal one of train, as is to be expected of so few columns"
        return [f"{len(self.shared[name]):,} of the {sizes[name]:,} {name} examples {end}" for name in self.chance]

    def record(self) -> dict[str, Any]:
        """The same as run.json keeps it: names and counts."""
        shared = {name: len(rows) for name, rows in self.shared.items()}
        return {
            **({"unseen_classes": list(self.unseen)} if self.unseen else {}),
            **({"shared_with_train": shared} if shared else {}),
        }


def audit(dataset: Dataset, splits: Splits) -> Findings:
    """Look for classes that train lacks, and for examples of validation and test that are in train, too."""
    import numpy as np

    unseen: tuple[str, ...] = ()
    targets = np.asarray(splits.train.targets)
    if dataset.task == "classification":
        counts = np.bincount(targets.reshape(-1), minlength=len(dataset.classes))
        unseen = tuple(name for name, count in zip(dataset.classes, counts, strict=False) if not count)
    others = {name: split for name, split in splits.named().items() if name != "train"}
    if splits.test_is_validation:
        others.pop("validation")
    if not others:
        return Findings(unseen)
    # A few words of each example tell nearly all apart; all of an example is looked at where these are equal.
    # Images that stay on disk are known by their files, where those of both splits do.
    by_file = all(isinstance(s.inputs, Stream) and s.inputs.keys is not None for s in splits.named().values())
    keys = partial(_keys, by_file=by_file)
    sieve = keys(splits.train.inputs, few=True)
    shared, chance = {}, []
    for name, split in others.items():
        sifted = keys(split.inputs, few=True)
        some = np.flatnonzero(np.isin(sifted, sieve))
        if not len(some):
            continue
        there = np.flatnonzero(np.isin(sieve, sifted[some]))
        same = some[np.isin(keys(split.inputs, some), keys(splits.train.inputs, there))]
        if len(same):
            shared[name] = tuple(int(row) for row in split.index[same])
            if _few_columns(dataset) and _meets_by_chance(dataset.encoding, splits.train, split, same):
                chance.append(name)
    return Findings(unseen, shared, tuple(chance))


def _few_columns(dataset: Dataset) -> bool:
    """Whether it is a table of so few columns that equal rows need not be one row twice."""
    encoding, inputs = dataset.encoding, dataset.train.inputs
    if dataset.kind != "table" or isinstance(inputs, Stream):
        return False
    return ((encoding and len(encoding.columns)) or inputs.shape[1]) <= FEW_COLUMNS


def _meets_by_chance(encoding: Encoding | None, train: Split, others: Split, same: np.ndarray) -> bool:
    """Whether rows of a table that are in train, too, at the places `same`, are others that look alike.

    That is so where about as many would meet if every column drew its values by itself (columns that go together meet
    more often, so five times as many are no surprise); or where no column has more than a few values, and one row in
    ten has another target than its like in train.
    """
    import numpy as np

    encoding = encoding or Encoding()
    columns = encoding.columns or [str(number) for number in range(train.inputs.shape[1])]
    share, start, distinct = np.ones(len(others)), 0, 0
    for name in columns:
        width = len(encoding.categories.get(name, "1")) + (encoding.missing == "flag" and name in encoding.gaps)
        block = np.concatenate([split.inputs[:, start : start + width] for split in (train, others)])
        _, place = np.unique(_keys(block), return_inverse=True)
        counts = np.bincount(place[: len(train)], minlength=place.max() + 1)
        share *= counts[place[len(train) :]] / len(train)
        start, distinct = start + width, max(distinct, int((counts > 0).sum()))
    if len(same) <= 5.0 * float((1.0 - np.exp(-len(train) * share)).sum()):
        return True
    keys = _keys(train.inputs)
    order = np.argsort(keys, kind="stable")
    like = order[np.searchsorted(keys[order], _keys(others.inputs[same]))]
    differs = (train.targets[like] != others.targets[same]).reshape(len(same), -1).any(axis=1)
    return 4 * distinct <= len(train) and float(differs.mean()) >= 0.1


def _keys(inputs: Any, rows: np.ndarray | None = None, *, few: bool = False, by_file: bool = False) -> np.ndarray:
    """A number for each example (of `rows`), (n,) uint64: equal examples have equal ones, others hardly ever.

    With `few` it is made of 32 words of each example alone; with `by_file` of the files of images that stay on disk.
    """
    import numpy as np

    if by_file:
        keys: np.ndarray = inputs.keys[inputs.rows]
        return keys if rows is None else keys[rows]
    where = np.arange(len(inputs)) if rows is None else rows
    numbers = np.empty(len(where), np.uint64)
    size = max(1, 2**24 // max(1, int(np.prod(inputs.shape[1:], dtype=np.int64)) * inputs.dtype.itemsize))
    for start in range(0, len(where), size):
        piece = inputs[start : start + size] if rows is None else inputs[where[start : start + size]]
        raw = np.ascontiguousarray(piece).reshape(len(piece), -1).view(np.uint8)
        if spare := -raw.shape[1] % 8:
            raw = np.pad(raw, ((0, 0), (0, spare)))
        words = raw.view(np.uint64)
        places = np.arange(words.shape[1], dtype=np.uint64)
        if few and words.shape[1] > 32:
            places = places[np.linspace(0, words.shape[1] - 1, 32).astype(int)]
            words = words[:, places]
        numbers[start : start + size] = _mixed(words + _mixed(places)).sum(axis=1, dtype=np.uint64)
    return numbers


def _mixed(words: np.ndarray) -> np.ndarray:
    """Each word with its bits mixed, one to one: the last steps of splitmix64 (Steele, Lea and Flood, 2014)."""
    import numpy as np

    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(words ^ (words >> np.uint64(31)))
