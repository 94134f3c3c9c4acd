"""From a Dataset to what the engine eats: splits cut once, with a seed of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dlx.data.dataset import Dataset, Split, Stream, Table
from dlx.errors import DataError
from dlx.system import backend

if TYPE_CHECKING:
    import numpy as np

# Splits do not follow the run's seed, so that repeats of a spec share them.
SPLIT_SEED = 0
SHOWN = 8


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

    held = sum(len(split) for split in splits.named().values() if not isinstance(split.inputs, Table))
    if held and (there := backend.memory()) is not None:
        one = encode({name: values[:1] for name, values in splits.train.inputs.items()}, encoding)
        if 2 * held * one.nbytes > there:
            said = f"{held:,} examples of {one[0].size:,} numbers take {held * one.nbytes / 2**30:.1f} GiB"
            hint = "fewer different words or shorter texts; in_memory: false leaves a table on disk"
            raise DataError(f"{said}, too much for a memory of {there / 2**30:.1f} GiB", where="dataset", hint=hint)

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
    """Raise DataError, with all that is found, when an input or a target is NaN or infinite."""
    import numpy as np

    found = []
    for name, split in splits.named().items():
        for what, array in (("inputs", split.inputs), ("targets", split.targets)):
            if isinstance(array, Stream):  # what is encoded is finite, or an error
                continue
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                bad = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
                rows = ", ".join(str(int(row)) for row in split.index[bad[:SHOWN]]) + " …" * (len(bad) > SHOWN)
                first = "the first in row" if len(bad) == 1 else "in the rows"
                found.append(f"{len(bad)} of the {name} {what} hold NaN or infinite values, {first} {rows}")
    if found:
        raise DataError("; ".join(found))


@dataclass(frozen=True)
class Findings:
    """What is amiss with the data, though it can be trained on.

    unseen: the classes without an example in train; shared: by split, the row numbers of the examples that are in
    train, too.
    """

    unseen: tuple[str, ...] = ()
    shared: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def told(self, sizes: Mapping[str, int]) -> list[str]:
        """Each finding in words; `sizes` of the splits."""
        lines = []
        if self.unseen:
            names = ", ".join(self.unseen[:SHOWN]) + " …" * (len(self.unseen) > SHOWN)
            lines.append(f"no example of {names} is in train")
        for name, rows in self.shared.items():
            shown = ", ".join(map(str, rows[:SHOWN])) + " …" * (len(rows) > SHOWN)
            which = f"row{'s' * (len(rows) > 1)} {shown}"
            lines.append(f"{len(rows):,} of the {sizes[name]:,} {name} examples are in train, too: {which}")
        return lines

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
    held = {name: split for name, split in splits.named().items() if name != "train"}
    if splits.test_is_validation:
        held.pop("validation")
    if not held:
        return Findings(unseen)
    # A few words of each example tell nearly all apart; all of an example is looked at where these are equal.
    # Images that stay on disk are known by their files, where those of both splits do.
    by_file = all(isinstance(s.inputs, Stream) and s.inputs.keys is not None for s in splits.named().values())
    keys = partial(_keys, by_file=by_file)
    sieve = keys(splits.train.inputs, few=True)
    shared = {}
    for name, split in held.items():
        sifted = keys(split.inputs, few=True)
        some = np.flatnonzero(np.isin(sifted, sieve))
        if not len(some):
            continue
        there = np.flatnonzero(np.isin(sieve, sifted[some]))
        same = some[np.isin(keys(split.inputs, some), keys(splits.train.inputs, there))]
        if len(same):
            shared[name] = tuple(int(row) for row in split.index[same])
    return Findings(unseen, shared)


def _keys(inputs: Any, rows: np.ndarray | None = None, *, few: bool = False, by_file: bool = False) -> np.ndarray:
    """A number for each example (of `rows`), (n,) uint64: equal examples have equal ones, others hardly ever.

    With `few` it is made of 32 words of each example alone; with `by_file` of the files of images that stay on disk.
    """
    import numpy as np

    if by_file:
        keys: np.ndarray = inputs.keys[inputs.rows]
        return keys if rows is None else keys[rows]
    where = np.arange(len(inputs)) if rows is None else rows
    found = np.empty(len(where), np.uint64)
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
        found[start : start + size] = _mixed(words + _mixed(places)).sum(axis=1, dtype=np.uint64)
    return found


def _mixed(words: np.ndarray) -> np.ndarray:
    """Each word with its bits mixed, one to one: the last steps of splitmix64 (Steele, Lea and Flood, 2014)."""
    import numpy as np

    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(words ^ (words >> np.uint64(31)))
