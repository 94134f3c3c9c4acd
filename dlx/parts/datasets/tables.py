"""Tables of your own: columns of numbers and of categories, missing values, and how a row becomes inputs.

What is fitted (the values of a category, what fills a gap) is fitted on the train split alone, kept in the run as its
`encoding`, and used by prediction with the same function.
"""

from __future__ import annotations

import csv as csvlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from dlx.dataset import Dataset, Split
from dlx.errors import DataError, did_you_mean
from dlx.parts.datasets.registry import float32, guess_task, registry
from dlx.registry import FilePath

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Columns = Mapping[str, "np.ndarray"]
ABSENT = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "#N/A")
MANY = 100  # a column of more texts than this is no category unless the spec says so
MOST = 10_000


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
    _task: str = "auto",
) -> Dataset:
    """A table with a header: `label` is the column to predict (or several), the others predict it.

    `features` names those others, or `drop` the ones to leave out; `id` numbers the rows and predicts nothing.
    Columns of numbers stay numbers; those of words, and those named in `categorical`, become one input a value.
    `missing`: a gap is an error; or is filled with the train split's median (of words, the commonest); or is filled and
    has an input of its own that says so. The last two also take words that training never saw, as none of the known.
    `test` is a second file of the same columns.
    """
    labels = [label] if isinstance(label, str) else list(label)
    frame = read(path, [*labels, *([id] if id else []), *(categorical or [])])
    header = [str(name) for name in frame.columns]
    for name in (*labels, *(features or []), *([id] if id else []), *(drop or []), *(categorical or [])):
        if name not in header:
            raise DataError(
                f"has no column {name!r}{did_you_mean(name, header)}; it has {_some(header)}", where=str(path)
            )
    left = {*labels, *(drop or []), *([id] if id else [])}
    columns = features if features is not None else [name for name in header if name not in left]
    for name in columns:
        if name in left:
            raise DataError(f"{name!r} cannot be both a feature and label, id or dropped", where=str(path))
    if not columns:
        raise DataError(f"has no column to predict {', '.join(labels)!r} from", where=str(path))
    task = _task_of(frame, labels, _task, str(path))
    classes = _classes(frame, labels, task)
    train = _split(frame, columns, categorical or [], labels, task, classes, path)
    _check(train.inputs, missing, categorical or [], path)
    held = None
    if test is not None:
        second = read(test, [*labels, *(categorical or [])])
        lacking = [name for name in [*columns, *labels] if name not in second.columns]
        if lacking:
            hint = "a table without the label is for dlx predict" if set(lacking) <= set(labels) else ""
            raise DataError(f"has no column {', '.join(lacking)}", where=str(test), hint=hint)
        words = [name for name in columns if train.inputs[name].dtype == object]
        held = _split(second, columns, words, labels, task, classes, test)
        _check(held.inputs, missing, columns, test)
    encoding = {
        "columns": list(columns),
        "label": labels[0] if len(labels) == 1 else labels,
        "id": id,
        "missing": missing,
    }
    said = json.dumps([encoding, categorical, task]).encode()
    return Dataset(
        train,
        task,
        hashlib.sha256(b"".join(Path(p).read_bytes() for p in (path, test) if p) + said).hexdigest(),
        test=held,
        classes=classes,
        kind="table",
        source=Path(path).name,
        encoding=encoding,
        fit=fit,
        encode=encode,
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + " …" * (len(names) > 20)


def read(path: str, words: Sequence[str]) -> pd.DataFrame:
    """A table with a type for each column; the columns `words` as they are written, gaps as ''.

    Raises DataError at the line that is torn.
    """
    import pandas as pd

    header = _shape(path)
    given: Any = {
        "na_values": list(ABSENT),
        "keep_default_na": False,
        "skipinitialspace": True,
        "encoding": "utf-8-sig",
    }
    try:
        texts = {name for name in words if name in header}
        frame = pd.read_csv(path, header=0, names=header, dtype=dict.fromkeys(texts, str), low_memory=False, **given)
        unsure = [name for name in header if name not in texts and not _numeric(frame[name])]
        if unsure:  # words, and truth values, which pandas writes in its own way
            frame[unsure] = pd.read_csv(path, header=0, names=header, usecols=unsure, dtype=str, **given)[unsure]
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise DataError(f"cannot be read as a table ({' '.join(str(error).split())[:200]})", where=str(path)) from error
    for name in frame.columns:
        if not _numeric(frame[name]):
            frame[name] = frame[name].astype(object).where(frame[name].notna(), "").str.strip()
    return frame


def _numeric(column: Any) -> bool:
    return column.dtype.kind in "if"


def _shape(path: str) -> list[str]:
    """The header of a table whose every row has as many fields; raises DataError with the line that has not."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
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
        raise DataError("no such file", where=str(path)) from error
    except (OSError, UnicodeDecodeError, csvlib.Error) as error:
        raise DataError(f"cannot be read as CSV in UTF-8 ({error})", where=str(path)) from error
    if not header or not count:
        raise DataError("expected a header and at least one row", where=str(path))
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise DataError(f"the header names {', '.join(sorted(twice))} twice", where=f"{path}:1")
    if "" in header:
        raise DataError(f"column {header.index('') + 1} has no name", where=f"{path}:1")
    return header


def _task_of(frame: pd.DataFrame, labels: Sequence[str], wanted: str, where: str) -> Any:
    """The task of the label columns; a gap in one is an error: nothing can be learned from it."""
    import numpy as np
    import pandas as pd

    for name in labels:
        gaps = np.flatnonzero(frame[name].to_numpy() == "")
        if len(gaps):
            raise DataError(
                f"no value for {name!r} in {len(gaps)} row{'s' * (len(gaps) > 1)}", where=f"{where}:{gaps[0] + 2}"
            )
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
    values = frame[labels[0]].to_numpy(dtype=str) if np.isnan(numbers).any() else numbers
    return guess_task(values, wanted, where, labels[0])


def _classes(frame: pd.DataFrame, labels: Sequence[str], task: str) -> tuple[str, ...]:
    """The classes as the file writes them, numbers in their order; of several labels, the columns' names."""
    if task == "multi_label":
        return tuple(labels)
    if task == "regression":
        return ()
    values = frame[labels[0]].unique().tolist()
    numbers = all(_is_number(value) for value in values)
    return tuple(sorted(values, key=(lambda value: (float(value), value)) if numbers else None))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _split(
    frame: pd.DataFrame,
    columns: Sequence[str],
    words: Sequence[str],
    labels: Sequence[str],
    task: str,
    classes: Sequence[str],
    path: str,
) -> Split:
    """The rows as named columns: numbers float64 with NaN for a gap, words as objects with '' for one."""
    import numpy as np
    import pandas as pd

    inputs: dict[str, Any] = {}
    for name in columns:
        column = frame[name]
        if name in words:
            text = column.astype(str) if _numeric(column) else column
            inputs[name] = (
                np.where(column.isna(), "", text).astype(object) if _numeric(column) else text.to_numpy(object)
            )
        elif _numeric(column):
            inputs[name] = column.to_numpy(np.float64)
        else:
            inputs[name] = column.to_numpy(object)
    for name, values in inputs.items():
        if values.dtype == np.float64:
            _finite(values, name, str(path))
    if task == "classification":
        number = {name: i for i, name in enumerate(classes)}
        targets = frame[labels[0]].map(number)
        if targets.isna().any():
            strange = sorted(set(frame[labels[0]][targets.isna()]))
            raise DataError(f"classes that train has not: {', '.join(strange[:5])}", where=str(path))
        found = targets.to_numpy(np.int32)
    else:
        numbers = [pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64) for name in labels]
        for name, values in zip(labels, numbers, strict=True):
            if np.isnan(values).any():
                raise DataError(f"column {name!r} must hold numbers for a {task}", where=str(path))
        found = np.stack(
            [float32(v, f"values of {n!r}", str(path)) for n, v in zip(labels, numbers, strict=True)], axis=1
        )
    return Split(inputs, found, np.arange(len(frame), dtype=np.int64))


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
            where=f"{path}:{first + 2}",
            hint="missing: median fills the gaps, missing: flag also says where they were; or drop the columns",
        )
    for name, values in inputs.items():
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
    """What the train split says of its columns: the values of categories, and what fills gaps."""
    import numpy as np

    categories: dict[str, list[str]] = {}
    fill: dict[str, Any] = {}
    gaps: list[str] = []
    for name, values in inputs.items():
        if values.dtype == object:
            found, counts = np.unique(values[values != ""].astype(str), return_counts=True)
            categories[name] = [str(value) for value in found]
            fill[name] = str(found[counts.argmax()]) if len(found) else ""
            absent = bool((values == "").any())
        else:
            held = values[~np.isnan(values)]
            fill[name] = float(np.median(held)) if len(held) else 0.0
            absent = len(held) < len(values)
        if absent:
            gaps.append(name)
    return {"categories": categories, "fill": fill, "gaps": gaps}


def encode(inputs: Columns, encoding: Mapping[str, Any], where: str = "", strict: bool = False) -> np.ndarray:
    """Columns as (n, inputs) float32: a number as it is, a category as one input a value, a flag where asked.

    With `strict`, as in prediction, a gap, a word that training never saw and a missing column are errors where
    `missing: error` said so. Raises DataError.
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
            raise DataError(f"no value for {name!r}", where=f"{where}, row {int(np.flatnonzero(gap)[0]) + 1}")
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
            found[name] = np.array([np.nan if text in ABSENT else float(text) for text in texts[name]])
        except ValueError as error:
            raise DataError(f"column {name!r} must hold numbers, as in training", where=where) from error
        _finite(found[name], name, where)
    return found


def inputs_of(encoding: Mapping[str, Any]) -> Iterator[str]:
    """The names of the inputs that a table becomes, in their order."""
    for name in encoding["columns"]:
        known = encoding["categories"].get(name)
        yield from [name] if known is None else [f"{name}={value}" for value in known]
        if encoding.get("missing") == "flag" and name in encoding["gaps"]:
            yield f"{name} missing"
