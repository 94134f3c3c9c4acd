"""How the columns of a table become numbers: fitted on the train split, the same in prediction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlx.data.encoding import Encoding
from dlx.errors import DataError, did_you_mean
from dlx.parts.datasets import dates
from dlx.parts.datasets.loading import finite
from dlx.parts.datasets.table_reader import ABSENT, is_number, number

if TYPE_CHECKING:
    import numpy as np

Columns = Mapping[str, "np.ndarray"]


def check_finite(values: np.ndarray, name: str, where: str, first: int = 0) -> None:
    """Raise DataError for infinite values, and for those too large for float32; a gap is none.

    `first` is the number of the first row.
    """
    import numpy as np

    finite(np.where(np.isnan(values), 0.0, values), f"values of {name!r}", where, first)


def fit(inputs: Columns) -> dict[str, Any]:
    """What an Encoding learns from the train split: column types, the values of categories, and what fills gaps."""
    import numpy as np

    categories: dict[str, list[str]] = {}
    fill: dict[str, Any] = {}
    gaps: list[str] = []
    for name, values in inputs.items():
        if values.dtype == object:
            distinct, counts = np.unique(values[values != ""], return_counts=True)
            categories[name] = [str(value) for value in distinct]
            fill[name] = str(distinct[counts.argmax()]) if len(distinct) else ""
            absent = bool((values == "").any())
        else:
            numbers = values[~np.isnan(values)]
            fill[name] = float(np.median(numbers)) if len(numbers) else 0.0
            absent = len(numbers) < len(values)
        if absent:
            gaps.append(name)
    types = {name: "words" if name in categories else "number" for name in inputs}
    return {"types": types, "categories": categories, "fill": fill, "gaps": gaps}


def encode(inputs: Columns, encoding: Encoding, where: str = "", strict: bool = False, first: int = 1) -> np.ndarray:
    """Columns as (n, inputs): a number as it is, a category as one input a value, a flag where asked.

    They are float64 where a column holds numbers, else float32.
    With `strict`, as in prediction, a gap, a word that training never saw and a missing column are errors where
    `missing: error` was set; `first` is the number of the first row in its file. Raises DataError.
    """
    import numpy as np

    count = len(next(iter(inputs.values()))) if inputs else 0
    blocks = []
    for name in encoding.columns:
        known = encoding.categories.get(name)
        values = _column(inputs, name, encoding, count, where)
        gap = values == "" if known is not None else np.isnan(values)
        if gap.any() and strict and not encoding.lenient:
            raise DataError(f"no value for {name!r}", where=f"{where}, row {int(np.flatnonzero(gap)[0]) + first}")
        if known is None:
            filled = np.where(gap, encoding.fill.get(name, np.nan), values)
            blocks.append(finite(filled, f"values of {name!r}", where)[:, None])
        else:
            if encoding.missing == "median":
                values = np.where(gap, encoding.fill[name], values)
            blocks.append(_one_hot(values, known, f"column {name!r}", where, strict and not encoding.lenient))
        if encoding.missing == "flag" and name in encoding.gaps:
            blocks.append(gap[:, None])
    return np.concatenate([np.asarray(b, np.float32) if b.dtype == bool else b for b in blocks], axis=1)


def _column(inputs: Columns, name: str, encoding: Encoding, count: int, where: str) -> Any:
    """The values of a column; all of them gaps where it is missing and gaps are filled."""
    import numpy as np

    if name in inputs:
        return inputs[name]
    if not encoding.lenient:
        raise DataError(f"has no column {name!r}{did_you_mean(name, inputs)}", where=where)
    return np.full(count, "", object) if name in encoding.categories else np.full(count, np.nan)


def _one_hot(values: np.ndarray, known: Sequence[str], label: str, where: str, strict: bool) -> np.ndarray:
    """One column a known value: (n, known) float32 of 0 and 1. With `strict` another value is a DataError."""
    import numpy as np

    place = {value: number for number, value in enumerate(known)}
    numbers = np.array([place.get(value, -1) for value in values.tolist()], np.int64)
    if strict and (numbers < 0).any():
        unknown = str(values[numbers < 0][0])
        shown = f"{', '.join(known[:8])}{' …' * (len(known) > 8)}"
        raise DataError(f"{label} holds {unknown!r}; training saw {shown}", where=where)
    block = np.zeros((len(values), len(known)), np.float32)
    rows = np.flatnonzero(numbers >= 0)
    block[rows, numbers[rows]] = 1.0
    return block


def columns_of(
    rows: Sequence[Sequence[str]], header: Sequence[str], encoding: Encoding, where: str, first: int = 1
) -> Columns:
    """Rows of text, as a table to predict holds them, as named columns; raises DataError for a word among numbers.

    `first` is the number of the first row in its file.
    """
    import numpy as np

    texts = dict(zip(header, zip(*rows, strict=True), strict=True))
    columns: dict[str, Any] = {}
    for name in encoding.columns:
        if name not in texts:
            continue
        if name in encoding.categories:
            columns[name] = np.array(["" if text in ABSENT else text for text in texts[name]], object)
            continue
        if name in encoding.dates:
            columns[name] = dates.days(texts[name], encoding.year_last.get(name, "year"), name, where)
            continue
        try:
            columns[name] = np.array([np.nan if text in ABSENT else number(text) for text in texts[name]])
        except ValueError as error:
            row, text = next((n, t) for n, t in enumerate(texts[name], first) if t not in ABSENT and not is_number(t))
            message = f"column {name!r} holds {text!r}; expected numbers, as in training"
            raise DataError(message, where=f"{where}:{row}") from error
        check_finite(columns[name], name, where, first)
    return columns


def input_names(encoding: Encoding) -> Iterator[str]:
    """The names of the inputs that a table becomes, in their order."""
    for name in encoding.columns:
        known = encoding.categories.get(name)
        yield from [name] if known is None else [f"{name}={value}" for value in known]
        if encoding.missing == "flag" and name in encoding.gaps:
            yield f"{name} missing"
