"""Tables of your own: columns of numbers and of categories, missing values, and how a row becomes inputs.

What is fitted (the values of a category, what fills a gap) is fitted on the train split alone, kept in the run as its
`encoding`, and used by prediction with the same function.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from dlx.data.dataset import Dataset, Split, Table
from dlx.data.encoding import Encoding
from dlx.errors import DataError
from dlx.parts.datasets import dates, out_of_core
from dlx.parts.datasets.loading import FEW, finite, guess_task, registry
from dlx.parts.datasets.out_of_core import InMemory
from dlx.parts.datasets.table_encoding import check_finite, encode, fit
from dlx.parts.datasets.table_reader import is_number, is_numeric, line_of, no_column, read_table, shape_of
from dlx.parts.registry import FilePath

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
MANY = 100  # a column of more texts than this is not a category unless the spec says so
MAX_CATEGORIES = 10_000


@registry.register
def csv(
    path: FilePath,
    label: str | Annotated[list[str], Field(min_length=1)],
    features: list[str] | None = None,
    id: str | None = None,
    drop: list[str] | None = None,
    group: str | None = None,
    categorical: list[str] | None = None,
    missing: Literal["error", "median", "flag"] = "error",
    missing_label: Literal["error", "drop"] = "error",
    test: FilePath | None = None,
    in_memory: InMemory = "auto",
    _task: str = "auto",
    _words: Sequence[str] = (),
) -> Dataset:
    """A table with a header: `label` is the column to predict (or several), the others predict it.

    `features` names those others, or `drop` the ones to leave out; `id` numbers the rows and predicts nothing. Rows of
    one value of the column `group`, as those of one patient, stay together in every cut; it predicts nothing either.
    Columns of numbers stay numbers, those of dates (2026-03-31, 2026-03-31 17:45) become days since 1970-01-01; those
    of words, and those named in `categorical`, become one input a value.
    `missing`: a gap is an error; or is filled with the train split's median (of words, the most frequent); or is filled
    and has a further input that marks it. The last two also take words that training never saw; they count as unknown.
    `missing_label`: a row without a label is an error, or is left out and counted.
    `test` is a second file of the same columns. A table that would fill a quarter of the memory stays on disk, its
    numbers in a scratch file; `in_memory` true or false decides it for any table. The figures are the same.
    """
    labels = [label] if isinstance(label, str) else list(label)
    shape = header, count = shape_of(path)
    named = {"label": labels, "features": features or [], "drop": drop or []}
    left_out = [*labels, *(drop or []), *(name for name in (id, group) if name)]
    columns = features if features is not None else [name for name in header if name not in left_out]
    _check_names(header, named, left_out, columns, categorical or [], str(path))
    size = f"{count:,} rows of {len(columns)} columns"
    on_disk = out_of_core.keeps_on_disk(8 * count * len(columns), in_memory, size, str(path), "fewer columns")
    read = [*columns, *labels, *([group] if group else [])] if on_disk else None
    frame = read_table(path, [*labels, *(categorical or [])], on_disk=read, shape=shape)
    rows = labelled(frame, labels, str(path), missing_label)
    learned = frame[labels].iloc[rows]
    task = task_of(learned, labels, _task, str(path))
    classes = classes_of(learned, labels, task, str(path))
    inputs, dated = _inputs(frame, columns, [*(categorical or []), *_words], path)
    train = _split(inputs, targets_of(learned, labels, task, classes, path), rows, on_disk)
    if group is not None:
        train = replace(train, groups=_groups(frame, group, rows, str(path)))
    _check(train, missing, categorical or [], path)
    first = _First(path, columns, labels, task, classes, dated, missing, missing_label, on_disk, train)
    test_split, unlabelled = (None, 0) if test is None else _second(first, test)
    one = labels[0] if len(labels) == 1 else labels
    settings: dict[str, Any] = {"columns": list(columns), "label": one, "id": id, "missing": missing}
    return Dataset(
        train,
        task,
        fingerprint_of(path, test, json.dumps([settings, categorical, task]).encode()),
        test=test_split,
        classes=classes,
        kind="table",
        source=Path(path).name,
        encoding=Encoding(**settings, dates=list(dated), year_last=_year_last(dated)),
        unlabelled=len(frame) - len(rows) + unlabelled,
        fit=fit,
        encode=encode,
    )


@dataclass(frozen=True)
class _First:
    """What the table of the train split decides for that of the test split."""

    path: FilePath
    columns: Sequence[str]
    labels: list[str]
    task: Any
    classes: tuple[str, ...]
    dated: Mapping[str, dates.First]
    missing: str
    missing_label: str
    on_disk: bool
    train: Split


def _second(first: _First, test: FilePath) -> tuple[Split, int]:
    """(the test split of a second file, the rows of it that have no label). Raises DataError where it is unlike."""
    columns, labels, name_of_first = first.columns, first.labels, Path(first.path).name
    words = [name for name in columns if first.train.inputs[name].dtype == object]
    frame = second_table(test, [*columns, *labels], labels, words, first.on_disk)
    rows = labelled(frame, labels, str(test), first.missing_label)
    targets = targets_of(frame[labels].iloc[rows], labels, first.task, first.classes, test)
    inputs, dated = _inputs(frame, columns, words, test, first.dated)
    if unlike := sorted({*first.dated} ^ {*dated}):
        actual = ("dates", "none") if unlike[0] in dated else ("no dates", "some")
        raise DataError(f"column {unlike[0]!r} holds {actual[0]}, but {name_of_first} {actual[1]}", where=str(test))
    split = _split(inputs, targets, rows, first.on_disk)
    for name in columns:
        if split.inputs[name].dtype != first.train.inputs[name].dtype:
            raise DataError(f"column {name!r} must hold numbers, as in {name_of_first}", where=str(test))
    _check(split, first.missing, columns, test)
    return split, len(frame) - len(rows)


def _groups(frame: pd.DataFrame, column: str, rows: np.ndarray, where: str) -> np.ndarray:
    """A number for each of the rows, (n,) int64, equal where the column is; raises DataError where it has gaps."""
    import numpy as np

    values = frame[column].to_numpy().astype(str)[rows]
    if gaps := int(np.isin(values, ("", "nan")).sum()):
        raise DataError(f"no value for the group {column!r} in {gaps} row{'s' * (gaps > 1)}", where=where)
    numbers: np.ndarray = np.unique(values, return_inverse=True)[1]
    return numbers


def _check_names(
    header: Sequence[str], named: Mapping[str, Sequence[str]], left_out: Sequence[str], columns: Sequence[str],
    categorical: Sequence[str], where: str,
) -> None:  # fmt: skip
    """Raise DataError for names that are not in the header, or that have two uses, and where no column is left."""
    for key, names in named.items():
        if len(set(names)) < len(names):
            raise DataError(f"{key} names a column twice", where=where)
    for name in (*left_out, *named["features"], *categorical):
        if name not in header:
            raise no_column(name, header, where)
    for name in left_out:
        if left_out.count(name) > 1 or name in columns:
            raise DataError(f"{name!r} cannot be two of feature, label, id, group and dropped", where=where)
    if not columns:
        raise DataError(f"has no column to predict {', '.join(named['label'])!r} from", where=where)


def fingerprint_of(path: str, test: str | None, settings: bytes) -> str:
    """A hash of a table's files, and of the settings that decide how they are read."""
    return hashlib.sha256(b"".join(Path(p).read_bytes() for p in (path, test) if p) + settings).hexdigest()


def second_table(
    path: str,
    columns: Sequence[str],
    labels: Sequence[str],
    words: Sequence[str],
    on_disk: bool = False,
    gaps: bool = True,
) -> pd.DataFrame:
    """The table of the test split, its columns read as those of train were; raises DataError where one is not there."""
    shape = shape_of(path)
    missing = [name for name in columns if name not in shape[0]]
    if missing:
        hint = "a table without the label is for dlx predict" if set(missing) <= set(labels) else ""
        raise DataError(f"has no column {', '.join(missing)}", where=str(path), hint=hint)
    return read_table(path, [*labels, *words], gaps, columns if on_disk else None, shape)


def _split(inputs: Any, targets: np.ndarray, rows: np.ndarray, on_disk: bool) -> Split:
    """A split of the rows of columns, which are read when they are asked for where they stay on disk."""
    if on_disk:
        return Split(Table(inputs, rows), targets, rows)
    whole = all(len(column) == len(rows) for column in inputs.values())
    return Split(inputs if whole else {name: column[rows] for name, column in inputs.items()}, targets, rows)


def labelled(frame: pd.DataFrame, labels: Sequence[str], where: str, missing_label: str = "error") -> np.ndarray:
    """The numbers of the rows that have every label, (n,) int64; raises DataError where others are an error."""
    import numpy as np

    absent = np.zeros(len(frame), bool)
    for name in labels:
        gaps = np.flatnonzero(frame[name].to_numpy() == "")
        if len(gaps) and missing_label == "error":
            raise DataError(
                f"no value for {name!r} in {len(gaps)} row{'s' * (len(gaps) > 1)}",
                where=f"{where}:{line_of(where, int(gaps[0]))}",
                hint="missing_label: drop leaves these rows out: nothing can be learned from them",
            )
        absent[gaps] = True
    if absent.all():
        raise DataError(f"no row has a value for {', '.join(map(repr, labels))}", where=where)
    return np.flatnonzero(~absent)


def task_of(frame: pd.DataFrame, labels: Sequence[str], wanted: str, where: str) -> Any:
    """The task of the label columns."""
    import numpy as np
    import pandas as pd

    if len(labels) > 1:
        numbers = [pd.to_numeric(frame[name], errors="coerce").to_numpy() for name in labels]
        zeros_and_ones = all(np.isin(column, (0, 1)).all() for column in numbers)
        if wanted == "classification":
            raise DataError(f"{len(labels)} label columns are multi_label or regression", where=where)
        if wanted == "multi_label" and not zeros_and_ones:
            raise DataError("expected zeros and ones in each label column", where=where)
        return wanted if wanted != "auto" else "multi_label" if zeros_and_ones else "regression"
    if wanted == "multi_label":
        raise DataError("one label column holds one label", where=where, hint="label: [first, second]")
    numbers = pd.to_numeric(frame[labels[0]], errors="coerce").to_numpy()
    values = frame[labels[0]].to_numpy(dtype=object) if np.isnan(numbers).any() else numbers
    if wanted == "auto" and values.dtype == object:
        _suspect(values, labels[0], where, "or task: classification")
    return guess_task(values, wanted, where, labels[0])


def classes_of(frame: pd.DataFrame, labels: Sequence[str], task: str, where: str) -> tuple[str, ...]:
    """The classes as the file writes them, numbers in their order; of several labels, the columns' names."""
    if task == "multi_label":
        return tuple(labels)
    if task == "regression":
        return ()
    values = frame[labels[0]].unique().tolist()
    numbers = all(is_number(value) for value in values)
    if numbers and len({float(value) for value in values}) < len(values):
        twins = sorted(values, key=float)
        a, b = next(pair for pair in itertools.pairwise(twins) if float(pair[0]) == float(pair[1]))
        raise DataError(f"column {labels[0]!r} writes one class in two ways, {a} and {b}", where=where)
    return tuple(sorted(values, key=(lambda value: (float(value), value)) if numbers else None))


def _inputs(
    frame: pd.DataFrame,
    columns: Sequence[str],
    words: Sequence[str],
    path: str,
    known: Mapping[str, dates.First] = MappingProxyType({}),
) -> tuple[dict[str, np.ndarray], dict[str, dates.First]]:
    """(named columns: numbers float64 with NaN for a gap, words as objects with '' for one; what dates begin with).

    `known` is what the dates of the train table begin with.
    """
    import numpy as np

    inputs: dict[str, Any] = {}
    dated: dict[str, dates.First] = {}
    for name in columns:
        column = frame[name]
        inputs[name] = column.to_numpy(np.float64) if is_numeric(column) else column.to_numpy(object)
        if is_numeric(column):
            check_finite(inputs[name], name, str(path))
            if name in known and np.isnan(inputs[name]).all():  # gaps alone are no numbers
                dated[name] = known[name]
        elif name not in words:
            texts = inputs[name].tolist()
            if (first := dates.first_of(texts, name, str(path), known.get(name))) is not None:
                inputs[name], dated[name] = dates.days(texts, first, name, str(path)), first
            else:
                _suspect(inputs[name], name, str(path))
                dates.suspect(texts, name, str(path))
    return inputs, dated


def _year_last(dated: Mapping[str, dates.First]) -> dict[str, Literal["day", "month"]]:
    return {name: first for name, first in dated.items() if first != "year"}


def _suspect(values: np.ndarray, name: str, where: str, otherwise: str = "") -> None:
    """Raise DataError for a column of numbers that a few words would silently turn into categories."""
    counts = Counter(values.tolist())
    counts.pop("", None)
    words = {value: count for value, count in counts.items() if not is_number(value)}
    several = sum(words.values())
    if len(counts) > FEW and words and several <= 0.1 * counts.total():
        raise DataError(
            f"column {name!r} holds numbers, and {several} that are not: {', '.join(sorted(words)[:5])}",
            where=where,
            hint=f"correct them or leave them empty; {otherwise or f'or categorical: [{name}]'}",
        )


def targets_of(frame: pd.DataFrame, labels: Sequence[str], task: str, classes: Sequence[str], path: str) -> np.ndarray:
    """Class numbers (n,) int32, values (n, k) float64, or labels (n, k) float32."""
    import numpy as np
    import pandas as pd

    if task == "classification":
        targets = frame[labels[0]].map({name: number for number, name in enumerate(classes)})
        if targets.isna().any():
            unknown = sorted(set(frame[labels[0]][targets.isna()]))
            raise DataError(f"classes that train lacks: {', '.join(unknown[:5])}", where=str(path))
        numbered: np.ndarray = targets.to_numpy(np.int32)
        return numbered
    numbers = [pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64) for name in labels]
    for name, values in zip(labels, numbers, strict=True):
        if np.isnan(values).any():
            raise DataError(f"column {name!r} must hold numbers for a {task}", where=str(path))
    named = zip(labels, numbers, strict=True)
    values = np.stack([finite(values, f"values of {name!r}", str(path)) for name, values in named], axis=1)
    return values.astype(np.float32) if task == "multi_label" else values


def _check(split: Split, missing: str, allowed: Sequence[str], path: str) -> None:
    """Raise DataError for gaps where the spec wants none, and for columns of too many different words."""
    import numpy as np

    inputs = split.inputs
    gaps = {
        name: np.flatnonzero(values == "" if values.dtype == object else np.isnan(values))
        for name, values in inputs.items()
    }
    gaps = {name: rows for name, rows in gaps.items() if len(rows)}
    if gaps and missing == "error":
        columns = ", ".join(
            f"{name!r} in {len(rows)} row{'s' * (len(rows) > 1)}" for name, rows in list(gaps.items())[:6]
        )
        first = int(split.index[min(int(rows[0]) for rows in gaps.values())])
        raise DataError(
            f"no value for {columns}",
            where=f"{path}:{line_of(path, first)}",
            hint="missing: median fills the gaps, missing: flag also marks where they were; or drop the columns",
        )
    for name, values in inputs.items():
        if len(gaps.get(name, ())) == len(values):
            raise DataError(f"column {name!r} holds nothing", where=str(path), hint=f"drop: [{name}]")
        if values.dtype != object:
            continue
        count, most = len(set(values)), MAX_CATEGORIES if name in allowed else MANY
        if count > most:
            raise DataError(
                f"column {name!r} holds {count:,} different words in {len(values):,} rows",
                where=str(path),
                hint=f"drop: [{name}]" + (f", or categorical: [{name}]" if count <= MAX_CATEGORIES else ""),
            )
