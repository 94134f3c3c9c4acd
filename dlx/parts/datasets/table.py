"""Tables of your own: columns of numbers and of categories, missing values, and how a row becomes inputs.

What is fitted (the values of a category, what fills a gap) is fitted on the train split alone, kept in the run as its
`encoding`, and used by prediction with the same function.
"""

from __future__ import annotations

import csv as csvlib
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from dlx.data.dataset import Dataset, Split, Table
from dlx.errors import DataError, did_you_mean
from dlx.parts.datasets import out_of_core as large
from dlx.parts.datasets.loading import FEW, float32, guess_task, registry
from dlx.parts.datasets.out_of_core import InMemory
from dlx.parts.registry import FilePath
from dlx.system.files import plain

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Columns = Mapping[str, "np.ndarray"]
ABSENT = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "#N/A")
MANY = 100  # a column of more texts than this is no category unless the spec says so
MOST = 10_000
MOST_COLUMNS = 200_000
csvlib.field_size_limit(2**22)  # texts are longer than the 131,072 characters that Python allows


@registry.register
def csv(
    path: FilePath,
    label: str | Annotated[list[str], Field(min_length=1)],
    features: list[str] | None = None,
    id: str | None = None,
    drop: list[str] | None = None,
    categorical: list[str] | None = None,
    missing: Literal["error", "median", "flag"] = "error",
    test: FilePath | None = None,
    in_memory: InMemory = "auto",
    _task: str = "auto",
) -> Dataset:
    """A table with a header: `label` is the column to predict (or several), the others predict it.

    `features` names those others, or `drop` the ones to leave out; `id` numbers the rows and predicts nothing.
    Columns of numbers stay numbers; those of words, and those named in `categorical`, become one input a value.
    `missing`: a gap is an error; or is filled with the train split's median (of words, the commonest); or is filled and
    has an input of its own that says so. The last two also take words that training never saw, as none of the known.
    `test` is a second file of the same columns. A table that would fill a quarter of the memory stays on disk, its
    numbers in a scratch file; `in_memory` true or false says so for any. The figures are the same.
    """
    labels = [label] if isinstance(label, str) else list(label)
    for what, names in (("label", labels), ("features", features or []), ("drop", drop or [])):
        if len(set(names)) < len(names):
            raise DataError(f"{what} names a column twice", where=str(path))
    shape = header, count = _shape(path)
    for name in (*labels, *(features or []), *([id] if id else []), *(drop or []), *(categorical or [])):
        if name not in header:
            raise no_column(name, header, str(path))
    left = [*labels, *(drop or []), *([id] if id else [])]
    for name in left:
        if left.count(name) > 1 or name in (features or []):
            raise DataError(f"{name!r} cannot be two of feature, label, id and dropped", where=str(path))
    columns = features if features is not None else [name for name in header if name not in left]
    if not columns:
        raise DataError(f"has no column to predict {', '.join(labels)!r} from", where=str(path))
    what = f"{count:,} rows of {len(columns)} columns"
    stays = large.stays(8 * count * len(columns), in_memory, what, str(path), "fewer columns")
    frame = read(path, [*labels, *(categorical or [])], stays=[*columns, *labels] if stays else None, shape=shape)
    task = task_of(frame, labels, _task, str(path))
    classes = classes_of(frame, labels, task, str(path))
    train = _left(
        Split(_inputs(frame, columns, categorical or [], path), *targets_of(frame, labels, task, classes, path)), stays
    )
    _check(train.inputs, missing, categorical or [], path)
    held = None
    if test is not None:
        words = [name for name in columns if train.inputs[name].dtype == object]
        second = second_of(test, [*columns, *labels], labels, words, stays)
        held = _left(
            Split(_inputs(second, columns, words, test), *targets_of(second, labels, task, classes, test)), stays
        )
        for name in columns:
            if held.inputs[name].dtype != train.inputs[name].dtype:
                raise DataError(f"column {name!r} must hold numbers, as in {Path(path).name}", where=str(test))
        _check(held.inputs, missing, columns, test)
    one = labels[0] if len(labels) == 1 else labels
    encoding = {"columns": list(columns), "label": one, "id": id, "missing": missing}
    said = json.dumps([encoding, categorical, task]).encode()
    return Dataset(
        train,
        task,
        fingerprint_of(path, test, said),
        test=held,
        classes=classes,
        kind="table",
        source=Path(path).name,
        encoding=encoding,
        fit=fit,
        encode=encode,
    )


def fingerprint_of(path: str, test: str | None, said: bytes) -> str:
    """A hash of a table's files, and of what the spec says of them."""
    return hashlib.sha256(b"".join(Path(p).read_bytes() for p in (path, test) if p) + said).hexdigest()


def no_column(name: str, header: Sequence[str], where: str) -> DataError:
    """The error of a column that is not there, with the nearest, and with what parts the columns if no comma does."""
    near = did_you_mean(name, header)
    return DataError(f"has no column {name!r}{near}; it has {_some(header)}", where=where, hint=parted(header))


def parted(header: Sequence[str]) -> str:
    """What to do with a table whose columns are parted by something else than commas; empty where they are not."""
    mark = next((m for m in (";", "\t") if m in header[0]), None) if len(header) == 1 else None
    return f"its columns are parted by {'tabs' if mark != ';' else mark!r}; expected commas: save it so" if mark else ""


def second_of(
    path: str,
    columns: Sequence[str],
    labels: Sequence[str],
    words: Sequence[str],
    stays: bool = False,
    gaps: bool = True,
) -> pd.DataFrame:
    """The table of the test split, its columns read as those of train were; raises DataError where one is not there."""
    shape = _shape(path)
    lacking = [name for name in columns if name not in shape[0]]
    if lacking:
        hint = "a table without the label is for dlx predict" if set(lacking) <= set(labels) else ""
        raise DataError(f"has no column {', '.join(lacking)}", where=str(path), hint=hint)
    frame = read(path, [*labels, *words], gaps, columns if stays else None, shape)
    _check_labels(frame, labels, path)
    return frame


def _left(split: Split, stays: bool) -> Split:
    """The split as it is, or with columns that are read when they are asked for."""
    return Split(Table(split.inputs, split.index), split.targets, split.index) if stays else split


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + " …" * (len(names) > 20)


def read(
    path: str,
    words: Sequence[str],
    gaps: bool = True,
    stays: Sequence[str] | None = None,
    shape: tuple[list[str], int] | None = None,
) -> pd.DataFrame:
    """A table with a type for each column: float64 with NaN for a gap, or words (objects), '' for one.

    The columns `words` stay as they are written, whatever they hold; without `gaps` NA and null are words of theirs.
    `stays` are the columns to read of a table that stays on disk, `shape` what `_shape` says where it is known.
    Raises DataError at the line that is torn.
    """
    import pandas as pd

    header, count = shape or _shape(path)
    given: Any = {"header": 0, "names": header, "keep_default_na": False, "skipinitialspace": True}
    given |= {"encoding": "utf-8-sig", "low_memory": False}
    try:
        if stays is not None:

            def reader(numbers: bool = False, **more: Any) -> Any:
                return pd.read_csv(path, **({"na_values": list(ABSENT)} if numbers else {}), **given, **more)

            return large.table(reader, count, stays, [name for name in words if name in stays], _of_texts)
        texts = {name for name in words if name in header}
        frame = pd.read_csv(path, dtype=dict.fromkeys(texts, str), na_values=list(ABSENT), **given)
        unsure = [name for name in header if name in texts or not _numeric(frame[name])]
        if unsure:  # as they are written: pandas has its own way with truth values, gaps and spaces
            frame[unsure] = pd.read_csv(path, usecols=unsure, dtype=str, **given)[unsure]
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise DataError(f"cannot be read as a table ({' '.join(str(error).split())[:200]})", where=str(path)) from error
    for name in unsure:
        numbers, said = _judged(frame[name], gaps or name not in texts)
        whole = name not in texts and numbers is not None
        frame[name] = numbers if whole else said
    return frame


def _judged(column: Any, gaps: bool) -> tuple[Any, Any]:
    """(numbers, or None where a field is none; words) of a column of text: stripped, '' for a gap.

    Each value is judged once, however often it is there.
    """
    import numpy as np
    import pandas as pd

    places, values = pd.factorize(column.fillna(""))
    numbers, said = _of_texts([str(value) for value in values], gaps)
    return (None if numbers is None else numbers[places]), np.array(said, object)[places]


def _of_texts(texts: Sequence[str], gaps: bool = True) -> tuple[Any, list[str]]:
    """(numbers, NaN for a gap, or None where a text is none; words, '' for a gap) of distinct texts."""
    import numpy as np
    import pandas as pd

    said = [text.strip() for text in texts]
    said = ["" if gaps and text in ABSENT else text for text in said]
    numbers = pd.to_numeric(pd.Series([text or None for text in said], dtype=object), errors="coerce").to_numpy(float)
    whole = any(said) and all(np.isnan(numbers) == [not text for text in said])
    return (numbers if whole else None), said


def _numeric(column: Any) -> bool:
    return column.dtype.kind in "if"


def _shape(path: str) -> tuple[list[str], int]:
    """(header, rows) of a table whose every row has as many fields; raises DataError with the line that has not."""
    try:
        with open(plain(path), newline="", encoding="utf-8-sig") as stream:
            reader = csvlib.reader(stream)
            header = [name.strip() for name in next(reader, [])]
            width, count = len(header), 0
            for row in reader:
                if len(row) != width and row:
                    raise DataError(
                        f"{len(row)} fields, expected {width} as in the header", where=f"{path}:{reader.line_num}"
                    )
                count += bool(row)
    except FileNotFoundError as error:
        hint = "a path is relative to the file that says it"
        raise DataError("no such file", where=str(path), hint=hint) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"cannot be read as CSV in UTF-8 ({error})", where=str(path), hint="save it as UTF-8"
        ) from error
    except (OSError, csvlib.Error) as error:
        raise DataError(f"cannot be read as CSV in UTF-8 ({error})", where=str(path)) from error
    if width > MOST_COLUMNS:
        raise DataError(f"has {width:,} columns, expected at most {MOST_COLUMNS:,}", where=f"{path}:1")
    if not header or not count:
        raise DataError("expected a header and at least one row", where=str(path))
    twice = [name for name, times in Counter(header).items() if times > 1]
    if twice:
        raise DataError(f"the header names {', '.join(sorted(twice))} twice", where=f"{path}:1")
    if "" in header:
        raise DataError(f"column {header.index('') + 1} has no name", where=f"{path}:1")
    return header, count


def line_of(path: str, row: int) -> int:
    """The line of a file on which row number `row` (from 0) ends: fields may hold line breaks, and lines be blank."""
    with open(path, newline="", encoding="utf-8-sig") as stream:
        reader = csvlib.reader(stream)
        rows = (reader.line_num for fields in reader if fields)
        return next(itertools.islice(rows, row + 1, None), 0)


def _check_labels(frame: pd.DataFrame, labels: Sequence[str], where: str) -> None:
    """Raise DataError where a row has no label."""
    import numpy as np

    for name in labels:
        gaps = np.flatnonzero(frame[name].to_numpy() == "")
        if len(gaps):
            raise DataError(
                f"no value for {name!r} in {len(gaps)} row{'s' * (len(gaps) > 1)}",
                where=f"{where}:{line_of(where, int(gaps[0]))}",
                hint="remove these rows: nothing can be learned from them",
            )


def task_of(frame: pd.DataFrame, labels: Sequence[str], wanted: str, where: str) -> Any:
    """The task of the label columns; a gap in one is an error: nothing can be learned from it."""
    import numpy as np
    import pandas as pd

    _check_labels(frame, labels, where)
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


def is_number(text: str) -> bool:
    """Whether a field says a number."""
    try:
        number(text)
    except ValueError:
        return False
    return True


def _inputs(frame: pd.DataFrame, columns: Sequence[str], words: Sequence[str], path: str) -> dict[str, np.ndarray]:
    """Named columns: numbers float64 with NaN for a gap, words as objects with '' for one."""
    import numpy as np

    inputs: dict[str, Any] = {}
    for name in columns:
        column = frame[name]
        inputs[name] = column.to_numpy(np.float64) if _numeric(column) else column.to_numpy(object)
        if _numeric(column):
            _finite(inputs[name], name, str(path))
        elif name not in words:
            _suspect(inputs[name], name, str(path))
    return inputs


def _suspect(values: np.ndarray, name: str, where: str) -> None:
    """Raise DataError for a column of numbers that a few words would silently turn into categories."""
    held = [value for value in values.tolist() if value]
    strange = [value for value in held if not is_number(value)]
    if len(set(held)) > FEW and strange and len(strange) <= 0.1 * len(held):
        raise DataError(
            f"column {name!r} holds numbers, and {len(strange)} that are none: {', '.join(sorted(set(strange))[:5])}",
            where=where,
            hint=f"mend them or leave them empty; or categorical: [{name}]",
        )


def targets_of(
    frame: pd.DataFrame, labels: Sequence[str], task: str, classes: Sequence[str], path: str
) -> tuple[np.ndarray, np.ndarray]:
    """(targets, row numbers): class numbers (n,) int32, or values or labels (n, k) float32."""
    import numpy as np
    import pandas as pd

    rows = np.arange(len(frame), dtype=np.int64)
    if task == "classification":
        targets = frame[labels[0]].map({name: number for number, name in enumerate(classes)})
        if targets.isna().any():
            strange = sorted(set(frame[labels[0]][targets.isna()]))
            raise DataError(f"classes that train has not: {', '.join(strange[:5])}", where=str(path))
        return targets.to_numpy(np.int32), rows
    numbers = [pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64) for name in labels]
    for name, values in zip(labels, numbers, strict=True):
        if np.isnan(values).any():
            raise DataError(f"column {name!r} must hold numbers for a {task}", where=str(path))
    named = zip(labels, numbers, strict=True)
    return np.stack([float32(values, f"values of {name!r}", str(path)) for name, values in named], axis=1), rows


def _finite(values: np.ndarray, name: str, where: str) -> None:
    """Raise DataError for infinite values, and for those too large for float32; a gap is none."""
    import numpy as np

    float32(values[~np.isnan(values)], f"values of {name!r}", where)


def _check(inputs: Any, missing: str, allowed: Sequence[str], path: str) -> None:
    """Raise DataError for gaps where the spec wants none, and for columns of too many different words."""
    import numpy as np

    gaps = {
        name: np.flatnonzero(values == "" if values.dtype == object else np.isnan(values))
        for name, values in inputs.items()
    }
    gaps = {name: rows for name, rows in gaps.items() if len(rows)}
    if gaps and missing == "error":
        told = ", ".join(f"{name!r} ({len(rows)})" for name, rows in list(gaps.items())[:6])
        first = min(int(rows[0]) for rows in gaps.values())
        raise DataError(
            f"no value for {told}",
            where=f"{path}:{line_of(path, first)}",
            hint="missing: median fills the gaps, missing: flag also says where they were; or drop the columns",
        )
    for name, values in inputs.items():
        if len(gaps.get(name, ())) == len(values):
            raise DataError(f"column {name!r} holds nothing", where=str(path), hint=f"drop: [{name}]")
        if values.dtype != object:
            continue
        count, most = len(set(values)), MOST if name in allowed else MANY
        if count > most:
            raise DataError(
                f"column {name!r} holds {count:,} different words in {len(values):,} rows",
                where=str(path),
                hint=f"drop: [{name}]" + (f", or categorical: [{name}]" if count <= MOST else ""),
            )


def fit(inputs: Columns) -> dict[str, Any]:
    """What the train split says of its columns: their types, the values of categories, and what fills gaps."""
    import numpy as np

    categories: dict[str, list[str]] = {}
    fill: dict[str, Any] = {}
    gaps: list[str] = []
    for name, values in inputs.items():
        if values.dtype == object:
            found, counts = np.unique(values[values != ""], return_counts=True)
            categories[name] = [str(value) for value in found]
            fill[name] = str(found[counts.argmax()]) if len(found) else ""
            absent = bool((values == "").any())
        else:
            held = values[~np.isnan(values)]
            fill[name] = float(np.median(held)) if len(held) else 0.0
            absent = len(held) < len(values)
        if absent:
            gaps.append(name)
    types = {name: "words" if name in categories else "number" for name in inputs}
    return {"types": types, "categories": categories, "fill": fill, "gaps": gaps}


def encode(
    inputs: Columns, encoding: Mapping[str, Any], where: str = "", strict: bool = False, first: int = 1
) -> np.ndarray:
    """Columns as (n, inputs) float32: a number as it is, a category as one input a value, a flag where asked.

    With `strict`, as in prediction, a gap, a word that training never saw and a missing column are errors where
    `missing: error` said so; `first` is the number of the first row in its file. Raises DataError.
    """
    import numpy as np

    lenient = encoding.get("missing", "error") != "error"
    count = len(next(iter(inputs.values()))) if inputs else 0
    blocks = []
    for name in encoding["columns"]:
        known = encoding["categories"].get(name)
        if name not in inputs:
            if not lenient:
                raise DataError(f"has no column {name!r}{did_you_mean(name, inputs)}", where=where)
            values = np.full(count, "", object) if known is not None else np.full(count, np.nan)
        else:
            values = inputs[name]
        gap = values == "" if known is not None else np.isnan(values)
        if gap.any() and not lenient and strict:
            raise DataError(f"no value for {name!r}", where=f"{where}, row {int(np.flatnonzero(gap)[0]) + first}")
        if known is None:
            filled = np.where(gap, encoding.get("fill", {}).get(name, np.nan), values)
            blocks.append(float32(filled, f"values of {name!r}", where)[:, None])
        else:
            blocks.append(_one_hot(values, gap, known, encoding, name, where, strict and not lenient))
        if encoding.get("missing") == "flag" and name in encoding["gaps"]:
            blocks.append(gap[:, None])
    return np.concatenate([np.asarray(block, np.float32) for block in blocks], axis=1)


def _one_hot(
    values: np.ndarray, gap: np.ndarray, known: Sequence[str], encoding: Any, name: str, where: str, strict: bool
) -> np.ndarray:
    import numpy as np

    if encoding.get("missing") == "median":
        values = np.where(gap, encoding["fill"][name], values)
    place = {value: number for number, value in enumerate(known)}
    numbers = np.array([place.get(value, -1) for value in values.tolist()], np.int64)
    if strict and (numbers < 0).any():
        strange = str(values[numbers < 0][0])
        seen = f"{', '.join(known[:8])}{' …' * (len(known) > 8)}"
        raise DataError(f"column {name!r} holds {strange!r}; training saw {seen}", where=where)
    block = np.zeros((len(values), len(known)), np.float32)
    rows = np.flatnonzero(numbers >= 0)
    block[rows, numbers[rows]] = 1.0
    return block


def columns(rows: Sequence[Sequence[str]], header: Sequence[str], encoding: Mapping[str, Any], where: str) -> Columns:
    """Rows of text, as a table to predict holds them, as named columns; raises DataError for a word among numbers."""
    import numpy as np

    texts = dict(zip(header, zip(*rows, strict=True), strict=True))
    found: dict[str, Any] = {}
    for name in encoding["columns"]:
        if name not in texts:
            continue
        if name in encoding["categories"]:
            found[name] = np.array(["" if text in ABSENT else text for text in texts[name]], object)
            continue
        try:
            found[name] = np.array([np.nan if text in ABSENT else number(text) for text in texts[name]])
        except ValueError as error:
            raise DataError(f"column {name!r} must hold numbers, as in training", where=where) from error
        _finite(found[name], name, where)
    return found


def number(text: str) -> float:
    """What a field says, as pandas reads it; raises ValueError where it is no number."""
    if "_" in text:  # which Python takes
        raise ValueError(text)
    return float(text)


def inputs_of(encoding: Mapping[str, Any]) -> Iterator[str]:
    """The names of the inputs that a table becomes, in their order."""
    for name in encoding["columns"]:
        known = encoding["categories"].get(name)
        yield from [name] if known is None else [f"{name}={value}" for value in known]
        if encoding.get("missing") == "flag" and name in encoding["gaps"]:
            yield f"{name} missing"
